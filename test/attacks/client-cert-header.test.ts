import { X509Certificate } from "node:crypto";
import { request } from "node:http";
import { networkInterfaces } from "node:os";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { expect, it } from "vitest";
import { createPresentedCertificates } from "../../src/http/client-certificate.ts";
import { startHttpServer } from "../../src/http/http-server.ts";
import { selfSigned } from "../certificate.ts";

const certificates = createPresentedCertificates();

/** What a process of this machine is taken for that sends somebody's certificate from one of its addresses. */
async function takenFor(
  options: { readonly believesLocalClientCert?: boolean },
  headers: Readonly<Record<string, string>>,
  localAddress: string,
): Promise<string> {
  const running = await startHttpServer(
    (asked, response) => response.end(certificates.of(asked)?.subject ?? "nobody"),
    { host: "127.0.0.1", port: 0, certificates, trustedProxies: ["0.0.0.0/0"], ...options },
  );
  try {
    return await new Promise((resolve, reject) => {
      request({ port: running.port, host: "127.0.0.1", agent: false, headers, localAddress }, (response) => {
        response.toArray().then((chunks) => resolve(Buffer.concat(chunks).toString()), reject);
      })
        .on("error", reject)
        .end();
    });
  } finally {
    await running.drain(100);
  }
}

it("[NOD-082] a process of the server's machine is nobody by a certificate that it only tells of, whichever address it has", async () => {
  const { cert } = selfSigned((await makeKeyPair()).privateJwk, "agent");
  const headers = { "client-cert": `:${new X509Certificate(cert).raw.toString("base64")}:` };
  const own = Object.values(networkInterfaces()).flatMap((each = []) => each);
  const addresses = own.flatMap(({ family, address }) => (family === "IPv4" ? [address] : []));
  for (const address of new Set(["127.0.0.1", "127.0.0.2", ...addresses])) {
    expect(await takenFor({}, headers, address), address).toContain("COUNTERSIGN_LOOPBACK_CLIENT_CERT");
    expect(await takenFor({ believesLocalClientCert: true }, headers, address)).toBe("CN=agent");
  }
  expect(await takenFor({}, {}, "127.0.0.1")).toBe("nobody");
});
