import { Agent, get } from "node:http";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { createPresentedCertificates } from "../../src/http/client-certificate.ts";
import { startHttpServer } from "../../src/http/http-server.ts";

const address = { host: "127.0.0.1", port: 0, certificates: createPresentedCertificates() };
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it("finishes what is in flight when it drains, and accepts nothing new", async () => {
  let arrived: () => void = () => undefined;
  const inFlight = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const server = await startHttpServer((_request, response) => {
    arrived();
    setTimeout(() => response.end("done"), 200);
  }, address);
  const url = `http://127.0.0.1:${server.port}/`;
  const answer = fetch(url);
  await inFlight;
  const drained = server.drain(5_000);
  await expect(fetch(url)).rejects.toThrow();
  const response = await answer;
  expect([response.status, await response.text()]).toEqual([200, "done"]);
  await drained;
});

it("closes idle keep-alive connections at once", async () => {
  const server = await startHttpServer((_request, response) => response.end("done"), address);
  const agent = new Agent({ keepAlive: true });
  await new Promise<void>((resolve) => {
    get({ port: server.port, agent }, (response) => response.resume().once("end", resolve));
  });
  // A deadline beyond the test's own: only closing the idle connection ends this.
  await server.drain(3_600_000);
  agent.destroy();
});

it("cuts what does not finish by the deadline", async () => {
  const server = await startHttpServer(() => undefined, address);
  const answer = fetch(`http://127.0.0.1:${server.port}/`);
  await after(50);
  const [outcome] = await Promise.allSettled([answer, server.drain(200)]);
  expect(outcome.status).toBe("rejected");
});

it("refuses headers beyond 16 KiB", async () => {
  const server = await startHttpServer((_request, response) => response.end(), address);
  const socket = connect(server.port, "127.0.0.1");
  socket.write(`GET / HTTP/1.1\r\nhost: a\r\nx: ${"a".repeat(20_000)}\r\n\r\n`);
  const [answer] = await new Promise<[Buffer]>((resolve) =>
    socket.once("data", (octets) => resolve([octets])),
  );
  expect(answer.toString()).toContain("431");
  socket.destroy();
  await server.drain(100);
});

it("says that the port is taken", async () => {
  const server = await startHttpServer(() => undefined, address);
  await expect(startHttpServer(() => undefined, { ...address, port: server.port })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
  await server.drain(100);
});

it.each([
  [[], undefined],
  [["10.0.0.0/8", "::1"], undefined],
  [["127.0.0.1"], "1.2.3.4"],
  [["127.0.0.0/8"], "1.2.3.4"],
])("believes forwarded headers of trusted proxies only: %j", async (trustedProxies, believed) => {
  const server = await startHttpServer(
    (request, response) => response.end(JSON.stringify({ from: request.headers["x-forwarded-for"] })),
    { ...address, trustedProxies },
  );
  const answer = await fetch(`http://127.0.0.1:${server.port}/`, {
    headers: { "x-forwarded-for": "1.2.3.4" },
  });
  expect(await answer.json()).toEqual(believed === undefined ? {} : { from: believed });
  await server.drain(100);
});
