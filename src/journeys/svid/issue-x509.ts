import { ConditionsFailed, type DomainError } from "../../domain/domain-error.ts";
import { type Happening, record } from "../record/record.ts";
import { orByAnother } from "./authority.ts";
import { type PreparedX509Svid, prepareX509Svid, type SignX509SvidDeps } from "./sign-x509.ts";
import {
  isRefusal,
  keptSvid,
  type SvidBasis,
  type SvidDeps,
  type SvidGrounds,
  svidBasis,
} from "./svid-grounds.ts";

export interface IssueX509SvidDeps extends SvidDeps, SignX509SvidDeps {}

export interface IssueX509SvidRequest extends SvidGrounds {
  /** Of the key that the holder has: a SubjectPublicKeyInfo on P-256. */
  readonly publicKey: Uint8Array;
}

/** An X.509-SVID without its private key. */
export interface SignedX509Svid {
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
  /** Ids of the agent, its owner, the entry, the approval of its configuration and the authority. */
  readonly restsOn: readonly string[];
}

/** What became of one of several: it was issued, or refused, which is recorded. */
export type X509SvidOutcome = { readonly issued: SignedX509Svid } | { readonly refused: DomainError };
export type X509SvidOutcomes = ReadonlyMap<IssueX509SvidRequest, X509SvidOutcome>;

/** What all rest on: where it fails, there is none to issue without. */
const sharedGrounds: ReadonlySet<string> = new Set(["signing_key", "node_svid"]);
/** SVIDs that one entry tells of at the most: they fill less than half of it. */
const perEntryMax = 64;

/**
 * Issues X.509-SVIDs to the agents of RegistrationEntries: what is to be signed is recorded, then signed, and what was
 * signed is verified as a peer will, before it is given out. None outlives the authority nor its agent. One entry of the
 * ledger tells of many; where something of one of these no longer stands, the others are issued without it.
 *
 * @param requests of one organization, one parent and one request to the server
 * @returns one outcome for each
 * @throws DomainError `conflict` when the authority, and the one after it, were tainted just now, and when the SVID by which the
 *   node asked is spent by now; `ledger_unavailable`; Error when what was signed does not verify
 * @see X509-SVID, sections 2 to 5
 */
export async function issueX509Svids(
  deps: IssueX509SvidDeps,
  requests: readonly IssueX509SvidRequest[],
): Promise<X509SvidOutcomes> {
  const batches: (readonly IssueX509SvidRequest[])[] = [];
  for (let at = 0; at < requests.length; at += perEntryMax)
    batches.push(requests.slice(at, at + perEntryMax));
  const outcomes = await Promise.all(batches.map((batch) => issueBatch(deps, batch)));
  return new Map(outcomes.flatMap((some) => [...some]));
}

async function issueBatch(
  deps: IssueX509SvidDeps,
  requests: readonly IssueX509SvidRequest[],
): Promise<X509SvidOutcomes> {
  const refused = new Map<IssueX509SvidRequest, X509SvidOutcome>();
  const grounded = await Promise.all(
    requests.map(async (request): Promise<Grounded[]> => {
      try {
        return [{ request, basis: await svidBasis(deps, request) }];
      } catch (error) {
        refused.set(request, refusedBy(error));
        return [];
      }
    }),
  );
  return new Map([...refused, ...(await issueGrounded(deps, grounded.flat()))]);
}

/** An SVID that the agent may have, as far as is known here. */
interface Grounded {
  readonly request: IssueX509SvidRequest;
  readonly basis: SvidBasis;
}

async function issueGrounded(
  deps: IssueX509SvidDeps,
  grounded: readonly Grounded[],
): Promise<X509SvidOutcomes> {
  const [one, ...more] = grounded;
  if (one === undefined) return new Map();
  if (more.length === 0) return issueAlone(deps, one);
  try {
    return await orByAnother(deps, () => signRecorded(deps, [one, ...more]));
  } catch (error) {
    if (!(error instanceof ConditionsFailed)) throw error;
    const ids = new Set(error.failed.flatMap(({ on, id }) => (sharedGrounds.has(on) ? [] : [id])));
    const isHit = ({ basis }: Grounded) => basis.conditions.some(({ id }) => ids.has(id));
    if (!grounded.some(isHit)) throw error;
    // Those that fail are looked at anew, and refused each in its agent's name, as ever; the others are a batch once more.
    const alone = grounded.filter(isHit).map(({ request }) => issueBatch(deps, [request]));
    const others = grounded.filter((each) => !isHit(each));
    const outcomes = await Promise.all([...alone, issueGrounded(deps, others)]);
    return new Map(outcomes.flatMap((some) => [...some]));
  }
}

async function issueAlone(deps: IssueX509SvidDeps, one: Grounded): Promise<X509SvidOutcomes> {
  try {
    return await orByAnother(deps, () => signRecorded(deps, [one]));
  } catch (error) {
    return new Map([[one.request, refusedBy(error)]]);
  }
}

/** @throws the error itself when it is no refusal of an SVID */
function refusedBy(error: unknown): X509SvidOutcome {
  if (!isRefusal(error)) throw error;
  return { refused: error };
}

interface Prepared extends Grounded {
  readonly svid: PreparedX509Svid;
}

/** Prepares them, has them recorded in one entry, and signs them. */
async function signRecorded(
  deps: IssueX509SvidDeps,
  [first, ...more]: readonly [Grounded, ...Grounded[]],
): Promise<X509SvidOutcomes> {
  const nowMs = deps.now();
  const prepare = (one: Grounded): Prepared => {
    const { entry, publicKey } = one.request;
    const { spiffeId, dnsNames } = entry;
    const lifeEndsAtMs = nowMs + entry.x509TtlSeconds * 1000;
    const endsAtMs = Math.min(lifeEndsAtMs, one.basis.client.expiresAtMs ?? Number.POSITIVE_INFINITY);
    return { ...one, svid: prepareX509Svid(deps, { spiffeId, dnsNames, publicKey, endsAtMs }, nowMs) };
  };
  const prepared: readonly [Prepared, ...Prepared[]] = [prepare(first), ...more.map(prepare)];
  await record(deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    ...toldOf(prepared),
    writes: prepared.map(({ request, basis, svid }) => keptSvid(request, basis, svid.kept)),
    conditions: prepared.flatMap(({ basis, svid }) => [...basis.conditions, svid.condition]),
  });
  const outcomes = new Map<IssueX509SvidRequest, X509SvidOutcome>();
  for (const { request, basis, svid } of prepared) {
    const { authority, ...signed } = await svid.sign();
    outcomes.set(request, { issued: { ...signed, restsOn: [...basis.restsOn, authority] } });
  }
  return outcomes;
}

/** What the entry says: of a single one all by itself, of several in a list. */
function toldOf([first, ...more]: readonly [Prepared, ...Prepared[]]): Pick<
  Happening,
  "trail" | "outcome" | "demands"
> {
  const { request, basis, svid } = first;
  const { entry, node, context } = request;
  if (more.length === 0) {
    const { checksum } = entry;
    const detail = { ...svid.detail, entry: entry.id, ...(checksum !== undefined && { checksum }) };
    return {
      trail: basis.trail,
      outcome: { claims_hash: svid.claimsHash, detail },
      demands: context.demands,
    };
  }
  const { agent: _, owner: __, ...shared } = basis.trail;
  const { svid: kind, authority } = svid.detail;
  return {
    trail: {
      ...shared,
      actor: node === undefined ? { kind: "system", id: "workload-api" } : { kind: "node", id: node.id },
    },
    outcome: { detail: { svid: kind, authority }, svids: [first, ...more].map(listed) },
    demands: context.demands,
  };
}

function listed({ request: { entry }, basis: { trail }, svid: { claimsHash, detail } }: Prepared) {
  return {
    agent: entry.agent,
    ...(trail.owner !== undefined && { owner: trail.owner }),
    entry: entry.id,
    serial: detail.serial,
    claims_hash: claimsHash,
    expires_at: detail.expires_at,
    ...(entry.checksum !== undefined && { checksum: entry.checksum }),
  };
}
