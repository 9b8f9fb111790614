import { ConditionsFailed, type DomainError } from "../../domain/domain-error.ts";
import type { Condition } from "../../store/write.ts";
import { type Happening, record } from "../record/record.ts";
import { type ByAnotherDeps, orByAnother } from "./authority.ts";
import {
  isRefusal,
  keptSvid,
  type SvidBasis,
  type SvidDeps,
  type SvidGrounds,
  svidBasis,
} from "./svid-grounds.ts";

/** An SVID of either kind that can be signed once it is recorded. */
export interface PreparedSvid<Svid> {
  /** Of what is to be signed: base64url. */
  readonly claimsHash: string;
  /** Of a JWT-SVID. */
  readonly jti?: string;
  /** What its entry says of it. */
  readonly detail: {
    readonly svid: "x509" | "jwt";
    readonly authority: string;
    readonly expires_at: string;
    /** Of an X.509-SVID. */
    readonly serial?: string;
    /** Of a JWT-SVID. */
    readonly audience_hash?: string;
  };
  /** By what it is known afterwards. */
  readonly kept: { readonly id: string; readonly claimsHash: string; readonly expiresAt: Date };
  /** That its authority still signs: one that was tainted meanwhile does not, one that another follows may. */
  readonly condition: Condition;
  /** Signs it, and verifies what was signed as whoever relies on it will. @throws Error when it does not verify */
  readonly sign: () => Promise<Svid>;
}

/** An SVID that was signed. */
interface Signed {
  /** Id of the authority. */
  readonly authority: string;
}

export interface IssueTogetherDeps<Request, Svid> extends SvidDeps, ByAnotherDeps {
  readonly prepare: (request: Request, basis: SvidBasis, nowMs: number) => PreparedSvid<Svid>;
}

/** What became of one of several: it was issued, or refused, which is recorded. */
export type SvidOutcome<Svid> = { readonly issued: Issued<Svid> } | { readonly refused: DomainError };
type Outcomes<Request, Svid> = ReadonlyMap<Request, SvidOutcome<Svid>>;
type Issued<Svid> = Svid & {
  /** Ids of the agent, its owner, the entry, the approval of its configuration and the authority. */
  readonly restsOn: readonly string[];
};

/** What all rest on: where it fails, there is none to issue without. */
const sharedGrounds: ReadonlySet<string> = new Set(["signing_key", "node_svid"]);
/** SVIDs that one entry tells of at the most: they fill less than half of it. */
const perEntryMax = 64;

/**
 * Issues SVIDs of one kind: what is to be signed is recorded, then signed, and what was signed is verified before it is
 * given out. One entry of the ledger tells of many; where something of one of these no longer stands, the others are issued
 * without it.
 *
 * @param requests of one organization, one parent and one request to the server
 * @returns one outcome for each
 * @throws DomainError `conflict` when the authority, and the one after it, were tainted just now, and when the SVID by which the
 *   node asked is spent by now; `ledger_unavailable`; Error when what was signed does not verify
 */
export async function issueTogether<Request extends SvidGrounds, Svid extends Signed>(
  deps: IssueTogetherDeps<Request, Svid>,
  requests: readonly Request[],
): Promise<Outcomes<Request, Svid>> {
  const batches: (readonly Request[])[] = [];
  for (let at = 0; at < requests.length; at += perEntryMax)
    batches.push(requests.slice(at, at + perEntryMax));
  const outcomes = await Promise.all(batches.map((batch) => issueBatch(deps, batch)));
  return new Map(outcomes.flatMap((some) => [...some]));
}

async function issueBatch<Request extends SvidGrounds, Svid extends Signed>(
  deps: IssueTogetherDeps<Request, Svid>,
  requests: readonly Request[],
): Promise<Outcomes<Request, Svid>> {
  const refused = new Map<Request, SvidOutcome<Svid>>();
  const grounded = await Promise.all(
    requests.map(async (request): Promise<Grounded<Request>[]> => {
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
interface Grounded<Request> {
  readonly request: Request;
  readonly basis: SvidBasis;
}

async function issueGrounded<Request extends SvidGrounds, Svid extends Signed>(
  deps: IssueTogetherDeps<Request, Svid>,
  grounded: readonly Grounded<Request>[],
): Promise<Outcomes<Request, Svid>> {
  const [one, ...more] = grounded;
  if (one === undefined) return new Map();
  if (more.length === 0) return issueAlone(deps, one);
  try {
    return await orByAnother(deps, () => signRecorded(deps, [one, ...more]));
  } catch (error) {
    if (!(error instanceof ConditionsFailed)) throw error;
    const ids = new Set(error.failed.flatMap(({ on, id }) => (sharedGrounds.has(on) ? [] : [id])));
    const isHit = ({ basis }: Grounded<Request>) => basis.conditions.some(({ id }) => ids.has(id));
    if (!grounded.some(isHit)) throw error;
    // Those that fail are looked at anew, and refused each in its agent's name, as ever; the others are a batch once more.
    const alone = grounded.filter(isHit).map(({ request }) => issueBatch(deps, [request]));
    const others = grounded.filter((each) => !isHit(each));
    const outcomes = await Promise.all([...alone, issueGrounded(deps, others)]);
    return new Map(outcomes.flatMap((some) => [...some]));
  }
}

async function issueAlone<Request extends SvidGrounds, Svid extends Signed>(
  deps: IssueTogetherDeps<Request, Svid>,
  one: Grounded<Request>,
): Promise<Outcomes<Request, Svid>> {
  try {
    return await orByAnother(deps, () => signRecorded(deps, [one]));
  } catch (error) {
    return new Map([[one.request, refusedBy(error)]]);
  }
}

/** @throws the error itself when it is no refusal of an SVID */
function refusedBy(error: unknown): { readonly refused: DomainError } {
  if (!isRefusal(error)) throw error;
  return { refused: error };
}

interface Prepared extends Grounded<SvidGrounds> {
  readonly svid: Omit<PreparedSvid<unknown>, "sign">;
}

/** Prepares them, has them recorded in one entry, and signs them. */
async function signRecorded<Request extends SvidGrounds, Svid extends Signed>(
  deps: IssueTogetherDeps<Request, Svid>,
  [first, ...more]: readonly [Grounded<Request>, ...Grounded<Request>[]],
): Promise<Outcomes<Request, Svid>> {
  const nowMs = deps.now();
  const prepare = (one: Grounded<Request>) => ({ ...one, svid: deps.prepare(one.request, one.basis, nowMs) });
  const prepared = [prepare(first), ...more.map(prepare)] as const;
  await record(deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    ...toldOf(prepared),
    writes: prepared.map(({ request, basis, svid }) => keptSvid(request, basis, svid.kept)),
    conditions: prepared.flatMap(({ basis, svid }) => [...basis.conditions, svid.condition]),
  });
  const outcomes = new Map<Request, SvidOutcome<Svid>>();
  for (const { request, basis, svid } of prepared) {
    const signed = await svid.sign();
    outcomes.set(request, { issued: { ...signed, restsOn: [...basis.restsOn, signed.authority] } });
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
      outcome: { ...jtiOf(svid), claims_hash: svid.claimsHash, detail },
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

function listed({ request: { entry }, basis: { trail }, svid }: Prepared) {
  const { svid: _, authority: __, ...detail } = svid.detail;
  return {
    agent: entry.agent,
    ...(trail.owner !== undefined && { owner: trail.owner }),
    entry: entry.id,
    ...jtiOf(svid),
    ...detail,
    claims_hash: svid.claimsHash,
    ...(entry.checksum !== undefined && { checksum: entry.checksum }),
  };
}

function jtiOf({ jti }: Pick<Prepared["svid"], "jti">): { readonly jti?: string } {
  return jti === undefined ? {} : { jti };
}
