import { existsSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { revokeDelegation } from "@countersign/sdk/contract/delegations";
import { expect, test } from "vitest";
import { freePort, makeInstallation, type ServerProcess, until, untilReady } from "../server.ts";
import { castPlayers, exchangeOf, signedForm, takeAway } from "./cast.ts";
import { expectRecorded, exportLog, verifierKeyOf } from "./evidence.ts";
import { startLoad, untilServed } from "./load.ts";
import { postmasterOf } from "./postgres.ts";
import { connectRaw, type RawConnection } from "./raw-http.ts";

const callers = 16;
const inFlight = 8;

test("[FLT-006] a server that is asked to end under load answers what it accepted, and leaves nothing running or locked", async () => {
  const installation = await makeInstallation();
  let server = await installation.startServer();
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, server);
  const agent = await cast.createAgent("courier");
  const delegation = await cast.grant(agent);
  const startedAt = new Date();
  const load = startLoad(installation, { callers, servers: [() => server], agent, delegation });
  await untilServed(load, callers);
  const open = await Promise.all(
    Array.from({ length: inFlight }, async () => {
      const body = await signedForm(installation, agent, exchangeOf(delegation));
      return { body: String(body), connection: await beginPost(server, String(body).length) };
    }),
  );

  const stopped = server.stop();
  await untilDeaf(server);
  for (const { connection, body } of open) connection.write(body);
  await Promise.all(open.map(({ connection }) => connection.closed));
  for (const { connection } of open) {
    expect(connection.received()).toMatch(/\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*"access_token":"[^"]+"[\s\S]*\}$/);
    expect(connection.received()).toMatch(/\r\nconnection: close\r\n/i);
  }
  expect(await stopped).toMatchObject({ code: 0 });
  await load.stop();
  expect([...load.refusals.keys()]).toEqual([]);
  expect(postmasterOf(installation.dataDir)).toBeUndefined();
  expect(readdirSync(join(installation.dataDir, "postgres", "data"))).not.toContain("postmaster.pid");

  // Every request of which the ledger tells was answered: none was accepted and then cut.
  server = await installation.startServer();
  const evidence = await exportLog(installation, vkey);
  expectRecorded(evidence, load.acknowledged);
  const issued = evidence.entries.filter(
    ({ type, agent: by, time }) => type === "token.issued" && by === agent.id && new Date(time) >= startedAt,
  );
  expect(issued).toHaveLength(load.acknowledged.length + inFlight);
  await takeAway(await installation.operatorAt(server), revokeDelegation, delegation);
});

test("[FLT-007] a start on a taken port says so in one line, and the server that runs there is not disturbed", async () => {
  const installation = await makeInstallation();
  const server = await installation.startServer();
  const { port } = new URL(installation.issuer);
  const second = await installation.run("serve", "--port", port);
  expect(second).toMatchObject({ code: 1, out: "" });
  expect(second.err).toMatch(/^countersign: port \d+ is taken: [^\n]+\n$/);
  const third = await installation.run("serve", "--json", "--port", port);
  expect(third.code).toBe(1);
  expect(JSON.parse(third.out)).toMatchObject({ error: { code: "port_taken" } });
  await untilReady([server]);
  await castPlayers(installation, server);
});

test("[FLT-007] a start that cannot have its settings says so in one line and touches nothing", async () => {
  const installation = await makeInstallation({
    DATABASE_URL: `postgresql://nobody@127.0.0.1:${await freePort()}/none`,
  });
  const refused = await installation.run("serve", "--port", String(await freePort()));
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toMatch(/^countersign: [^\n]+\n$/);
  const misused = await installation.run("serve", "--port", "0");
  expect(misused).toMatchObject({ code: 2, out: "" });
  expect(misused.err).toMatch(/^countersign: --port [^\n]+\n$/);
  expect(readdirSync(installation.dataDir)).toEqual([]);
});

test("[FLT-007] a start without a data directory to work in says so in one line that names it, and exits 2", async () => {
  const installation = await makeInstallation();
  const { dataDir } = installation;
  const file = join(dataDir, "file");
  writeFileSync(file, "");
  symlinkSync(join(dataDir, "nowhere", "at", "all"), join(dataDir, "dangling"));
  const attempts: readonly (readonly [string, string])[] = [
    [file, "is not a directory"],
    [join(file, "below"), "can't be made"],
    [join(dataDir, "missing", "data"), `can't be made: there is no ${join(dataDir, "missing")}`],
    [join(dataDir, "dangling"), "can't be made"],
    // Where nothing can be made nor written, whoever asks.
    ...(existsSync("/proc/self")
      ? ([
          ["/proc/x", "can't be made"],
          ["/proc", "can't be written to"],
        ] as const)
      : []),
  ];
  for (const [path, problem] of attempts) {
    const refused = await installation.run("serve", "--data-dir", path);
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toMatch(/^countersign: [^\n]+\n$/);
    expect(refused.err).toContain(`the data directory ${path} ${problem}`);
  }
  expect(readdirSync(dataDir).sort()).toEqual(["dangling", "file"]);
});

test("[FLT-006] of two servers on one data directory the first to end leaves PostgreSQL to the other", async () => {
  const installation = await makeInstallation();
  const first = await installation.startServer();
  const second = await installation.startServer(await freePort());
  expect(await first.stop()).toMatchObject({ code: 0 });
  await untilReady([second]);
  await castPlayers(installation, second);
  expect(await second.stop()).toMatchObject({ code: 0 });
  expect(postmasterOf(installation.dataDir)).toBeUndefined();
});

/** Begins a POST of which the server has the headers, and says so; the body is still to come. */
async function beginPost(server: ServerProcess, bodyBytes: number): Promise<RawConnection> {
  const connection = await connectRaw(server);
  connection.write(
    `POST /token HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nExpect: 100-continue\r\n` +
      `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${bodyBytes}\r\n\r\n`,
  );
  await connection.hears(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  return connection;
}

/** Waits until the server takes no more connections. */
async function untilDeaf(server: ServerProcess): Promise<void> {
  const refuses = () =>
    connectRaw(server).then(
      (connection) => {
        connection.close();
        return false;
      },
      () => true,
    );
  await until("the end of listening", refuses);
}
