import { chmodSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startEmbeddedPostgres } from "../../src/store/postgres/embedded.ts";
import { silentLog } from "../harness.ts";
import {
  type Installation,
  makeInstallation,
  type Party,
  type ServerProcess,
  until,
  untilReady,
} from "../server.ts";
import { callApi, castPlayers, exchangeOf, signedForm } from "./cast.ts";
import { expectRecorded, exportLog, verifierKeyOf } from "./evidence.ts";
import { type Load, startLoad, untilServed } from "./load.ts";
import { freeze, postmasterOf, sendIfThere, untilGone } from "./postgres.ts";

const callers = 8;

test("[FLT-003] [FLT-004] [ACT-004] with the embedded PostgreSQL gone nothing is issued, and it is brought back without a restart", async () => {
  const stage = await setStage();
  const postgres = join(stage.installation.dataDir, "postgres");
  const pid = postmasterOf(stage.installation.dataDir) ?? Number.NaN;
  // Without its data it can't be started again.
  renameSync(join(postgres, "data"), join(postgres, "away"));
  sendIfThere(pid, "SIGKILL");
  await untilGone(pid);
  await expectUnavailable(stage);
  renameSync(join(postgres, "away"), join(postgres, "data"));
  await expectBack(stage);
});

test("[FLT-003] [FLT-004] with an external PostgreSQL stopped nothing is issued, and its return is enough", async () => {
  const external = await startExternalPostgres();
  const stage = await setStage({ DATABASE_URL: external.url });
  await external.stop();
  await expectUnavailable(stage);
  await external.start();
  await expectBack(stage);
});

test("[FLT-003] [FLT-004] while PostgreSQL hangs every request is answered, and nothing is issued", async () => {
  const stage = await setStage();
  const thaw = await freeze(stage.installation.dataDir);
  onTestFinished(thaw);
  await expectUnavailable(stage);
  thaw();
  await expectBack(stage);
});

/** A server under load, and what is needed to ask it for anything. */
interface Stage {
  readonly installation: Installation;
  readonly server: ServerProcess;
  readonly vkey: string;
  readonly agent: Party;
  readonly mailbox: Party;
  readonly delegation: string;
  /** The agent, with a token of the delegation. */
  readonly actor: { readonly key: Party["key"]; readonly accessToken: string };
  readonly operator: { readonly key: Party["key"]; readonly accessToken: string };
  readonly load: Load;
}

async function setStage(settings: Record<string, string> = {}): Promise<Stage> {
  const installation = await makeInstallation(settings);
  const server = await installation.startServer();
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, server);
  const target = { resource: `${installation.issuer}/v1`, scope: "admin" };
  const { access_token: accessToken } = await cast.operator.requestToken(target);
  const operator = { ...(await installation.operatorKey()), accessToken };
  const agent = await cast.createAgent("courier");
  const delegation = await cast.grant(agent);
  const redeemed = await installation.clientAt(server, agent).redeemDelegation({ delegation });
  const actor = { key: agent.key, accessToken: redeemed.access_token };
  const load = startLoad(installation, { callers, servers: [server], agent, delegation });
  await untilServed(load, callers);
  return { installation, server, vkey, agent, mailbox: cast.mailbox, delegation, actor, operator, load };
}

/** Every way in is answered as an outage is, and no token comes from any. */
async function expectUnavailable(stage: Stage): Promise<void> {
  const { installation, server, agent, mailbox, delegation, actor, operator, load } = stage;
  const isUnready = async () => (await fetch(`${server.url}/readyz`)).status === 503;
  await until("an outage", isUnready);
  // What was committed before is handed out still.
  await until("refusals", () => refusalsOf(load) >= callers);
  const issuedBefore = load.acknowledged.length;
  const post = async (path: string, party: Party, parameters: Record<string, string>) =>
    fetch(`${server.url}${path}`, {
      method: "POST",
      body: await signedForm(installation, party, parameters),
    });
  const acting = {
    method: "POST",
    path: "/v1/authorize",
    body: '{"action":"a","scope":["mail.read"]}',
  } as const;
  const [exchanged, introspected, created, authorized, ready, alive] = await Promise.all([
    post("/token", agent, exchangeOf(delegation)),
    post("/introspect", mailbox, { token: "none" }),
    callApi(installation, server, operator, { method: "POST", path: "/v1/users", body: '{"name":"Bob"}' }),
    callApi(installation, server, actor, acting),
    fetch(`${server.url}/readyz`),
    fetch(`${server.url}/healthz`),
  ]);
  expect(load.acknowledged).toHaveLength(issuedBefore);
  for (const answer of [exchanged, introspected]) {
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(await answer.json()).toMatchObject({ error: "temporarily_unavailable" });
  }
  for (const answer of [created, authorized]) {
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(await answer.json()).toMatchObject({ status: 503, code: "ledger_unavailable" });
  }
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ checks: [{ name: "database", ok: false }, {}, {}, {}] });
  expect(alive.status).toBe(200);
}

/** The same process issues again, and all that it ever handed out is in the ledger. */
async function expectBack({ installation, server, vkey, load }: Stage): Promise<void> {
  await untilReady([server]);
  await untilServed(load, 2 * callers);
  await load.stop();
  // An outage is told to everybody: nobody is left hanging.
  expect(load.broken()).toBe(0);
  expect([...load.refusals.keys()]).toEqual(["503 temporarily_unavailable"]);
  expectRecorded(await exportLog(installation, vkey), load.acknowledged);
  expect(await server.stop()).toMatchObject({ code: 0 });
}

function refusalsOf({ refusals }: Load): number {
  return [...refusals.values()].reduce((sum, count) => sum + count, 0);
}

/** A PostgreSQL that no server starts or stops. */
async function startExternalPostgres() {
  const dataDir = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
  chmodSync(dataDir, 0o755);
  let running = await startEmbeddedPostgres({ log: silentLog }, dataDir);
  onTestFinished(async () => {
    await running.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const { host, user, password, database } = running.target;
  return {
    url: `postgresql://${user}:${password}@localhost/${database}?host=${host}`,
    stop: () => running.close(),
    start: async () => {
      running = await startEmbeddedPostgres({ log: silentLog }, dataDir);
    },
  };
}
