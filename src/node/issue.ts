import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { nodeJwtSchema, nodeX509Schema, svidsPerRequestMax } from "@countersign/sdk/contract/node-face";
import { approvalId } from "../domain/agent-checksum.ts";
import { DomainError } from "../domain/domain-error.ts";
import type { Issued, MatchedEntry } from "../domain/svid-holder.ts";
import type { JwtSvid, X509Svid } from "../domain/svid-source.ts";
import type { HeldEntry } from "./held-entries.ts";
import { newNodeKey } from "./join.ts";
import { base64Of, bytesOf } from "./node-identity.ts";
import type { ServerConnection } from "./server-connection.ts";

/** An entry of this node that was matched for a workload. */
export type NodeEntry = HeldEntry & MatchedEntry;

/**
 * Has X.509-SVIDs signed for keys that are made here, and stay here.
 *
 * @throws DomainError `ledger_unavailable` while the server does not answer
 */
export async function issueX509(
  connection: ServerConnection,
  entries: readonly NodeEntry[],
): Promise<readonly Issued<X509Svid>[]> {
  const issued: Issued<X509Svid>[] = [];
  for (let at = 0; at < entries.length; at += svidsPerRequestMax) {
    const wanted = entries.slice(at, at + svidsPerRequestMax).map((entry) => ({ entry, ...newNodeKey() }));
    const items = wanted.map(({ entry, publicKey }) => ({
      entry: entry.id,
      public_key: base64Of(publicKey),
      checksum: entry.checksum,
    }));
    const answer = await orUnavailable(connection.post("/v1/node/x509-svids", { items }, nodeX509Schema));
    for (const [place, { entry, privateKey }] of wanted.entries()) {
      const given = answer.items[place];
      const svid = given?.entry === entry.id ? given.svid : undefined;
      if (svid === undefined) issued.push(noneOf(entry));
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

/** Has a JWT-SVID signed. @throws DomainError `ledger_unavailable` while the server does not answer */
export async function issueJwt(
  connection: ServerConnection,
  entry: NodeEntry,
  audience: readonly string[],
): Promise<Issued<JwtSvid>> {
  try {
    const { id, checksum } = entry;
    const asked = connection.post("/v1/node/jwt-svids", { entry: id, audience, checksum }, nodeJwtSchema);
    const { token, expires_at, rests_on } = await orUnavailable(asked);
    const { spiffeId, hint } = entry;
    return { svid: { spiffeId, token, hint, expiresAtMs: Date.parse(expires_at) }, restsOn: rests_on };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return noneOf(entry);
  }
}

/** What the server refused is none, until something of it changes. */
function noneOf<Svid>({ agent, id, checksum }: NodeEntry): Issued<Svid> {
  const approvals = checksum === undefined ? [] : [approvalId(agent, checksum)];
  return { svid: undefined, restsOn: [agent, id, ...approvals] };
}

async function orUnavailable<Answer>(asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    throw new DomainError("ledger_unavailable", "the node's server does not answer", error);
  }
}
