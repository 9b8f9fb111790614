import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

/** A key of an issuer: its public half as it is published. */
export interface IssuerKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** An OpenID provider as CI systems run one, on loopback. */
export interface OidcIssuer {
  readonly url: string;
  /** What is published now. */
  keys: readonly IssuerKey[];
  /** Answers in place of the real documents, by path. */
  readonly instead: Map<string, (req: IncomingMessage, res: ServerResponse) => void>;
  /** The paths that were asked for, in order. */
  readonly asked: string[];
  /** An assertion with `claims` and `header` laid over good ones; `undefined` takes a member away. */
  assertion(
    claims?: Record<string, unknown>,
    header?: Record<string, unknown>,
    key?: IssuerKey,
  ): Promise<string>;
  close(): void;
}

/** Makes a key pair under this name. */
export async function issuerKey(kid: string, alg = "RS256"): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } };
}

let made = 0;

/** Starts one with one key, whose assertions are meant for `audience`, unless told otherwise. */
export async function startOidcIssuer(audience: string): Promise<OidcIssuer> {
  const first = await issuerKey("first");
  const instead: OidcIssuer["instead"] = new Map();
  const asked: string[] = [];
  const server: Server = createServer((req, res) => {
    const path = req.url ?? "";
    asked.push(path);
    const documents: Record<string, unknown> = {
      "/.well-known/openid-configuration": { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` },
      "/keys": { keys: issuer.keys.map(({ publicJwk }) => publicJwk) },
    };
    const other = instead.get(path);
    if (other !== undefined) return other(req, res);
    res.writeHead(path in documents ? 200 : 404, { "content-type": "application/json" });
    res.end(JSON.stringify(documents[path] ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const issuer: OidcIssuer = {
    url: `http://127.0.0.1:${port}`,
    keys: [first],
    instead,
    asked,
    assertion(claims = {}, header = {}, key = issuer.keys[0] ?? first) {
      const nowSeconds = Math.floor(Date.now() / 1000);
      const payload = {
        iss: issuer.url,
        sub: "repo:acme/app:ref:refs/heads/main",
        aud: audience,
        iat: nowSeconds,
        nbf: nowSeconds,
        exp: nowSeconds + 300,
        jti: `jti-${++made}`,
        repository_owner_id: "1234",
        ...claims,
      };
      return new SignJWT(payload)
        .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: "JWT", ...header })
        .sign(key.privateKey);
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return issuer;
}
