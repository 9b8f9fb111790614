import { once } from "node:events";
import { createServer, request as forward } from "node:http";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { createAgent, listAgents } from "@countersign/sdk/contract/agents";
import { problemSchema } from "@countersign/sdk/contract/problem";
import { createUser, listUsers } from "@countersign/sdk/contract/users";
import { expect, onTestFinished, test } from "vitest";
import { freePort, makeInstallation, type ServerProcess, until } from "../server.ts";
import { callApi } from "./cast.ts";
import { sqlOf } from "./postgres.ts";

test("[API-002] a client whose answer is lost on the way sends once more: the agent is made once", async () => {
  const installation = await makeInstallation();
  const server = await installation.startServer();
  const proxy = await dropFirstAnswer(server, "/v1/agents");
  const operator = await installation.operatorAt({ url: proxy.url });
  const { id: owner } = await operator.perform(createUser, { body: { name: "Alice" } });
  const { publicJwk: jwk } = await makeKeyPair();
  const made = await operator.perform(createAgent, { body: { owner, name: "once", jwk } });
  expect(proxy.dropped()).toBe(1);
  const { items } = await operator.perform(listAgents, {});
  expect(items.map(({ id }) => id)).toEqual([made.id]);
});

test("[API-002] a server killed between commit and answer leaves the change done once, and a repeat is told where it is recorded", async () => {
  const installation = await makeInstallation();
  const { dataDir } = installation;
  let server = await installation.startServer();
  const party = await installation.operatorKey();
  const target = { resource: `${installation.issuer}/v1`, scope: "admin" };
  const { access_token: accessToken } = await installation.clientAt(server, party).requestToken(target);
  const send = () =>
    callApi(
      installation,
      server,
      { ...party, accessToken },
      {
        method: "POST",
        path: "/v1/users",
        body: '{"name":"Alice"}',
        headers: { "idempotency-key": "lost-1" },
      },
    );
  await sqlOf(
    dataDir,
    `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
     CREATE TRIGGER wait BEFORE UPDATE ON idempotency_key FOR EACH ROW EXECUTE FUNCTION wait()`,
  );
  const lost = send().catch(() => "no answer");
  const waiting = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  await until("the keeping of the answer", async () => {
    return (await sqlOf(dataDir, `SELECT pid ${waiting}`)).length > 0;
  });
  await server.kill();
  expect(await lost).toBe("no answer");
  await sqlOf(dataDir, `SELECT pg_terminate_backend(pid, 10000) ${waiting}`);
  await sqlOf(dataDir, "DROP TRIGGER wait ON idempotency_key");
  server = await installation.startServer();

  const [row] = await sqlOf(
    dataDir,
    "SELECT log_id, index, entry FROM idempotency_key JOIN ledger_entry USING (log_id, index)",
  );
  expect(JSON.parse(String(row?.["entry"]))).toMatchObject({ type: "user.created" });
  const place = `at index ${row?.["index"]} of the log ${row?.["log_id"]}`;
  // As if the server had come back at once.
  await sqlOf(dataDir, "UPDATE idempotency_key SET created_at = now()");
  const soon = await send();
  expect(soon.headers.get("retry-after")).toBe("1");
  const early = problemSchema.parse(await soon.json());
  expect(early).toMatchObject({ code: "idempotency_key_in_use", detail: expect.stringContaining(place) });
  await sqlOf(dataDir, "UPDATE idempotency_key SET created_at = created_at - interval '1 minute'");
  const late = problemSchema.parse(await (await send()).json());
  expect(late).toMatchObject({ status: 409, code: "conflict", detail: expect.stringContaining(place) });
  const operator = await installation.operatorAt(server);
  expect((await operator.perform(listUsers, {})).items.map(({ name }) => name)).toEqual(["Alice"]);
});

/** A proxy that cuts the connection instead of passing on the first answer to a POST at this path. */
async function dropFirstAnswer(server: ServerProcess, path: string) {
  let dropped = 0;
  const proxy = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const onward = forward(`${server.url}${url}`, { method, headers }, (answer) => {
      if (method === "POST" && url === path && dropped++ === 0) {
        answer.resume();
        answer.once("end", () => outgoing.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  const port = await freePort();
  proxy.listen(port, "127.0.0.1");
  await once(proxy, "listening");
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return { url: `http://127.0.0.1:${port}`, dropped: () => Math.min(dropped, 1) };
}
