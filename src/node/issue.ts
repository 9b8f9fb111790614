import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { nodeJwtSchema, nodeX509Schema, svidsPerRequestMax } from "@countersign/sdk/contract/node-face";
import { base64Of, bytesOf } from "../domain/base64.ts";
import { DomainError } from "../domain/domain-error.ts";
import type { Issued } from "../domain/held-svids.ts";
import { type MatchedEntry, noneIssued, svidRefusals } from "../domain/svid-holder.ts";
import type { JwtSvid, X509Svid } from "../domain/svid-source.ts";
import { newKeyPair } from "../svid/key-pair.ts";
import type { ServerConnection } from "./server-connection.ts";

/**
 * Has X.509-SVIDs signed for keys that are made here, and stay here.
 *
 * @returns one answer for each, in order: none for what can't be issued now, though others can
 * @throws DomainError `ledger_unavailable` while the server does not answer, or lets the node do nothing
 */
export async function issueX509(
  connection: ServerConnection,
  entries: readonly MatchedEntry[],
): Promise<readonly (Issued<X509Svid> | undefined)[]> {
  const issued: (Issued<X509Svid> | undefined)[] = [];
  for (let at = 0; at < entries.length; at += svidsPerRequestMax) {
    const wanted = entries.slice(at, at + svidsPerRequestMax).map((entry) => ({ entry, ...newKeyPair() }));
    const items = wanted.map(({ entry, publicKey }) => ({
      entry: entry.id,
      public_key: base64Of(publicKey),
      checksum: entry.checksum,
    }));
    const asked = connection.post("/v1/node/x509-svids", { items }, nodeX509Schema);
    const answer = await asked.catch((error: unknown) => {
      throw unavailable(error);
    });
    for (const [place, { entry, privateKey }] of wanted.entries()) {
      const given = answer.items[place];
      const svid = given?.entry === entry.id ? given.svid : undefined;
      if (given?.refused === "too_many_requests") issued.push(undefined);
      else if (svid === undefined) issued.push(noneIssued(entry));
      else {
        issued.push({
          svid: {
            spiffeId: entry.spiffeId,
            certificates: svid.certificates.map(bytesOf),
            privateKey,
            hint: entry.hint,
            expiresAtMs: Date.parse(svid.expires_at),
          },
          restsOn: svid.rests_on,
        });
      }
    }
  }
  return issued;
}

/** Has a JWT-SVID signed; none where it was refused. @throws DomainError as above */
export async function issueJwt(
  connection: ServerConnection,
  entry: MatchedEntry,
  audience: readonly string[],
): Promise<Issued<JwtSvid>> {
  try {
    const { id, checksum } = entry;
    const asked = connection.post("/v1/node/jwt-svids", { entry: id, audience, checksum }, nodeJwtSchema);
    const { token, expires_at, rests_on } = await asked;
    const { spiffeId, hint } = entry;
    return { svid: { spiffeId, token, hint, expiresAtMs: Date.parse(expires_at) }, restsOn: rests_on };
  } catch (error) {
    if (error instanceof RefusedError && svidRefusals.has(error.code)) return noneIssued(entry);
    throw unavailable(error);
  }
}

/** What says nothing of the workload, a refusal of the node itself too, is that nothing can be issued now. */
function unavailable(error: unknown): unknown {
  if (error instanceof UnreachableError)
    return new DomainError("ledger_unavailable", "the node's server does not answer", error);
  return error instanceof RefusedError
    ? new DomainError("ledger_unavailable", "the node's server issues nothing now", error)
    : error;
}
