import { randomBytes } from "node:crypto";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { newId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { parseTrustDomain, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import { calculateJwkThumbprint } from "jose";
import { apiScope } from "../../src/domain/resource.ts";
import { sqlOf } from "../chaos/postgres.ts";
import type { Installation } from "../server.ts";
import type { Signer } from "./stage.ts";

/**
 * Plants a second organization with an operator of its own in the database of a running server, which can't make one
 * yet: with its log, and with the server's API as a Resource of it too, so that its principals get tokens like any other.
 */
export async function plantOrganization({ dataDir, issuer }: Installation, name: string): Promise<Signer> {
  const organization = parseOrganizationId(name);
  const trustDomain = parseTrustDomain(new URL(issuer).hostname);
  if (organization === undefined || trustDomain === undefined) throw new Error("it can't be named so");
  const { publicJwk, privateJwk } = await makeKeyPair();
  const { kty, crv, x, y } = publicJwk;
  const made = (kind: "operator" | "credential" | "resource") => newId(kind, Date.now(), randomBytes(16));
  const operator = newId("operator", Date.now(), randomBytes(16));
  const api = `${issuer}/v1`;
  const thumbprint = await calculateJwkThumbprint({ kty, crv, x, y });
  const jwk = JSON.stringify({ alg: "ES256", crv, kty, use: "sig", x, y });
  await sqlOf(
    dataDir,
    `ALTER TABLE resource DROP CONSTRAINT resource_audience_key;
     DROP INDEX resource_one_spelling;
     CREATE UNIQUE INDEX resource_one_audience ON resource (audience) WHERE audience <> '${api}';
     INSERT INTO organization (id, name, created_at) VALUES ('${name}', '${name}', now());
     INSERT INTO log (id, organization_id, origin, public, created_at)
       VALUES ('${name}', '${name}', '${new URL(issuer).host}/log/${name}', false, now());
     INSERT INTO operator (id, organization_id, name, status, created_at)
       VALUES ('${operator}', '${name}', 'local', 'active', now());
     INSERT INTO credential (id, organization_id, principal_kind, principal_id, thumbprint, public_jwk, status, created_at)
       VALUES ('${made("credential")}', '${name}', 'operator', '${operator}', '${thumbprint}', '${jwk}', 'active', now());
     INSERT INTO resource (id, organization_id, audience, scope, owner_id, open, status, created_at)
       VALUES ('${made("resource")}', '${name}', '${api}', '{${apiScope.join(",")}}', NULL, false, 'active', now())`,
  );
  const clientId = spiffeIdOf(trustDomain, { kind: "operator", organization, id: operator });
  return { clientId, key: privateJwk };
}
