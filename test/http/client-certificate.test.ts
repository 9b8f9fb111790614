import { X509Certificate } from "node:crypto";
import { Agent, type RequestOptions, request } from "node:https";
import { TLSSocket } from "node:tls";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { beforeAll, describe, expect, it } from "vitest";
import { createPresentedCertificates, tellsCertificatePath } from "../../src/http/client-certificate.ts";
import { startHttpServer } from "../../src/http/http-server.ts";
import { type CertifiedKey, selfSigned } from "../certificate.ts";

const certificates = createPresentedCertificates();
const address = { host: "127.0.0.1", port: 0, certificates };
let server: CertifiedKey;
let client: CertifiedKey;
let other: CertifiedKey;
beforeAll(async () => {
  const certified = async (name: string) => selfSigned((await makeKeyPair()).privateJwk, name);
  [server, client, other] = await Promise.all([certified("server"), certified("client"), certified("other")]);
});

const headerOf = ({ cert }: CertifiedKey) => `:${new X509Certificate(cert).raw.toString("base64")}:`;
const listener: Parameters<typeof startHttpServer>[0] = (request, response) =>
  response.end(certificates.of(request)?.subject ?? "none");

/** What a TLS server that asks for certificates, or not, takes the certificate of a request for. */
async function seenOverTls(
  { asks, proxies }: { asks: boolean; proxies: readonly string[] },
  options: RequestOptions,
): Promise<string> {
  const running = await startHttpServer(listener, {
    ...address,
    tls: server,
    asksForCertificate: asks,
    trustedProxies: proxies,
    believesLocalClientCert: true,
  });
  const text = await send(running.port, options);
  await running.drain(100);
  return text;
}

function send(port: number, options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: "127.0.0.1", ca: server.cert, agent: false, ...options },
      (response) => {
        response.toArray().then((chunks) => resolve(Buffer.concat(chunks).toString()), reject);
      },
    );
    sent.on("error", reject).end();
  });
}

describe("[ISS-004] the certificate of a request", () => {
  it("is the one of the handshake, where the port asks for one", async () => {
    expect(await seenOverTls({ asks: true, proxies: [] }, { ...client })).toBe("CN=client");
    expect(await seenOverTls({ asks: true, proxies: [] }, {})).toBe("none");
    expect(await seenOverTls({ asks: false, proxies: [] }, { ...client })).toBe("none");
  });

  it("is never what a stranger says in a header", async () => {
    const headers = { "client-cert": headerOf(other) };
    expect(await seenOverTls({ asks: true, proxies: [] }, { headers })).toBe("none");
    expect(await seenOverTls({ asks: true, proxies: [] }, { headers, ...client })).toBe("CN=client");
    expect(await seenOverTls({ asks: false, proxies: ["10.0.0.0/8"] }, { headers })).toBe("none");
  });

  it("is what a trusted proxy says in the header, and never that proxy's own", async () => {
    const proxies = ["127.0.0.1"];
    const headers = { "client-cert": headerOf(other) };
    expect(await seenOverTls({ asks: true, proxies }, { headers, ...client })).toBe("CN=other");
    expect(await seenOverTls({ asks: true, proxies }, { ...client })).toBe("none");
  });

  it.each(["", "x", "::", ":AAAA:", ":****:", "-----BEGIN CERTIFICATE-----"])(
    "that a trusted proxy says as %j is answered 400, not taken for none",
    async (header) => {
      const running = await startHttpServer(listener, {
        ...address,
        trustedProxies: ["127.0.0.1"],
        believesLocalClientCert: true,
      });
      const answer = await fetch(`http://127.0.0.1:${running.port}/`, { headers: { "client-cert": header } });
      expect([answer.status, await answer.text()]).toEqual([400, ""]);
      await running.drain(100);
    },
  );

  it("that a trusted proxy says twice is answered 400", async () => {
    const running = await startHttpServer(listener, {
      ...address,
      trustedProxies: ["127.0.0.1"],
      believesLocalClientCert: true,
    });
    const header = `${headerOf(client)}, ${headerOf(other)}`;
    const answer = await fetch(`http://127.0.0.1:${running.port}/`, { headers: { "client-cert": header } });
    expect(answer.status).toBe(400);
    await running.drain(100);
  });

  it("is still there when a session is resumed", async () => {
    const resumed: boolean[] = [];
    const running = await startHttpServer(
      (request, response) => {
        resumed.push(request.socket instanceof TLSSocket && request.socket.isSessionReused());
        listener(request, response);
      },
      { ...address, tls: server, asksForCertificate: true },
    );
    const agent = new Agent({ maxCachedSessions: 10, keepAlive: false });
    expect(await send(running.port, { ...client, agent })).toBe("CN=client");
    expect(await send(running.port, { ...client, agent })).toBe("CN=client");
    expect(resumed).toEqual([false, true]);
    await running.drain(100);
  });
});

it("[ISS-007] shows a renewed certificate from the next handshake on, and keeps the old one for want of a good one", async () => {
  const running = await startHttpServer(listener, { ...address, tls: server });
  expect(() => running.renew({ cert: other.cert, key: client.key })).toThrow();
  expect(await send(running.port, {})).toBe("none");
  running.renew(other);
  expect(await send(running.port, { ca: other.cert })).toBe("none");
  await expect(send(running.port, {})).rejects.toThrow();
  await running.drain(100);
});

it.each([
  { from: "192.0.2.1", at: 8461, allowsLocal: false, path: "handshake" },
  { from: "192.0.2.1", at: 8460, allowsLocal: false, path: undefined },
  { from: "10.1.2.3", at: 8460, allowsLocal: false, path: "proxy" },
  { from: "127.0.0.1", at: 8460, allowsLocal: false, path: undefined },
  { from: "127.0.0.1", at: 8460, allowsLocal: true, path: "proxy" },
])("from $from at port $at a certificate could come by $path ($allowsLocal)", (given) => {
  const sources = { proxies: ["10.0.0.0/8", "127.0.0.1"], allowsLocal: given.allowsLocal };
  const socket = { remoteAddress: given.from, localPort: given.at };
  const pathOf = tellsCertificatePath(sources, 8461);
  expect(pathOf({ socket } as never)).toBe(given.path);
});
