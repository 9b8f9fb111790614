import { afterAll, beforeAll, expect, test } from "vitest";
import { makeInstallation, type ServerProcess, untilReady } from "../server.ts";
import { type Cast, castPlayers } from "./cast.ts";
import { connectRaw, trickle } from "./raw-http.ts";

const removals: (() => Promise<void>)[] = [];
let server: ServerProcess;
let cast: Cast;
beforeAll(async () => {
  const installation = await makeInstallation({}, (remove) => removals.push(remove));
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const connections = 32;
const host = "Host: 127.0.0.1";
const form = `${host}\r\nContent-Type: application/x-www-form-urlencoded`;

/** What the server gets, and what the status line says that it makes of it; nothing where there is no line to answer. */
const malformed: readonly (readonly [what: string, octets: string, status: RegExp])[] = [
  [
    "one header of 64 KiB",
    `GET /healthz HTTP/1.1\r\n${host}\r\nX: ${"x".repeat(65_536)}\r\n\r\n`,
    /^HTTP\/1\.1 431 /,
  ],
  [
    "a thousand headers",
    `GET /healthz HTTP/1.1\r\n${host}\r\n${Array.from({ length: 1000 }, (_, n) => `X-${n}: ${"x".repeat(20)}\r\n`).join("")}\r\n`,
    /^HTTP\/1\.1 431 /,
  ],
  ["a path of 64 KiB", `GET /${"x".repeat(65_536)} HTTP/1.1\r\n${host}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", /^HTTP\/1\.1 400 /],
  ["an unknown version", `GET /healthz HTTP/9.9\r\n${host}\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ["no host", "GET /healthz HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
  ["an unknown method", `BREW /healthz HTTP/1.1\r\n${host}\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ["a NUL in a header", `GET /healthz HTTP/1.1\r\n${host}\r\nX: a\0b\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ["a NUL in the path", `GET /\0 HTTP/1.1\r\n${host}\r\n\r\n`, /^HTTP\/1\.1 400 /],
  ["a folded header", `GET /healthz HTTP/1.1\r\n${host}\r\nX: a\r\n b\r\n\r\n`, /^HTTP\/1\.1 (200|400) /],
  [
    "two lengths",
    `POST /token HTTP/1.1\r\n${form}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\na=b`,
    /^HTTP\/1\.1 400 /,
  ],
  [
    "a length and chunks, as request smugglers send",
    `POST /token HTTP/1.1\r\n${form}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    /^HTTP\/1\.1 400 /,
  ],
  [
    "a chunk of no size",
    `POST /token HTTP/1.1\r\n${form}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    /^HTTP\/1\.1 400 /,
  ],
  ["a negative length", `POST /token HTTP/1.1\r\n${form}\r\nContent-Length: -1\r\n\r\n`, /^HTTP\/1\.1 400 /],
  [
    "a foreign target",
    `GET http://evil.example/healthz HTTP/1.1\r\n${host}\r\n\r\n`,
    /^HTTP\/1\.1 (200|400|404) /,
  ],
  ["no path", `OPTIONS * HTTP/1.1\r\n${host}\r\n\r\n`, /^HTTP\/1\.1 (400|404|405) /],
  ["a tunnel", `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n\r\n`, /^(HTTP\/1\.1 4\d\d |$)/],
  [
    "another protocol",
    `GET /healthz HTTP/1.1\r\n${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    /^HTTP\/1\.1 (200|4\d\d) /,
  ],
  [
    "a path that can't be decoded",
    `GET /v1/users/%ff HTTP/1.1\r\n${host}\r\n\r\n`,
    /^HTTP\/1\.1 (400|401|404) /,
  ],
];

test.for(malformed)(
  "[FLT-009] %s is refused or harmless, and the server stays ready",
  async ([, octets, status]) => {
    const connection = await connectRaw(server);
    connection.write(octets);
    // Whoever says no more is not kept waiting for: the connection is over, or answered.
    await Promise.race([connection.closed, connection.hears(/\r\n\r\n/)]);
    connection.close();
    expect(connection.received()).toMatch(status);
    expect(connection.received()).not.toMatch(/^HTTP\/1\.1 5/);
    await untilReady([server]);
  },
);

test("[FLT-009] connections that trickle their headers or their body are cut, and hold nobody else up", async () => {
  const slow = await Promise.all(Array.from({ length: connections }, () => connectRaw(server)));
  const trickling = slow.map((connection, number) => {
    if (number % 2 === 0) return trickle(connection, "GET /healthz HTTP/1.1\r\nX: y", 1_000);
    connection.write(`POST /token HTTP/1.1\r\n${form}\r\nContent-Length: 50000\r\n\r\n`);
    return trickle(connection, "a=b&", 1_000);
  });
  const silent = await Promise.all(Array.from({ length: connections }, () => connectRaw(server)));
  await cast.createAgent("quick");
  await Promise.all([...trickling, ...[...slow, ...silent].map(({ closed }) => closed)]);
  for (const { received } of slow) expect(received()).toMatch(/^(HTTP\/1\.1 408 |$)/);
  await untilReady([server]);
});

test("[FLT-009] callers that go away in the middle of a request leave nothing behind", async () => {
  for (let round = 0; round < 5; round++) {
    const leaving = await Promise.all(Array.from({ length: connections }, () => connectRaw(server)));
    for (const [number, connection] of leaving.entries()) {
      const whole = `POST /token HTTP/1.1\r\n${form}\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials`;
      connection.write(whole.slice(0, Math.ceil((whole.length * (number + 1)) / connections)));
    }
    for (const connection of leaving) connection.close();
  }
  await untilReady([server]);
  await cast.createAgent("next");
});
