import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { LedgerEntryBody, LedgerEntryType } from "@countersign/sdk/contract/ledger-entry";
import { logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { ConditionsFailed, DomainError, ValueTaken } from "../../domain/domain-error.ts";
import type { AppendEntry } from "../../ledger/append.ts";
import type { BudgetLeft } from "../../store/commit-batch.ts";
import type { Condition, Failed, Write } from "../../store/write.ts";
import { appendDemanded, type Demands, isOf, reasonOf } from "./append-demanded.ts";
import { attestationBy, type Proof } from "./proof.ts";
import { type Refusal, recordable } from "./refusal.ts";
import type { RecordRefusal } from "./refusals.ts";

/** What the request that started a journey is known by. */
export interface RequestContext {
  /** Its X-Request-ID; absent where no request stands behind it. */
  readonly requestId?: string | undefined;
  /** The transaction that the caller's token belongs to; absent when the request bears none. */
  readonly txn?: string;
  /** How an agent that sent it proved to be who it is; absent: by a key of its own, which attests nothing. */
  readonly restsOn?: Proof;
  readonly demands?: Demands;
}

/** What is known of an attempt whatever becomes of it: the part that its entry and its refusal share. */
export interface Trail extends Omit<LedgerEntryBody, "type" | "refusal" | "organization"> {
  readonly organization: OrganizationId;
}

/** What the caller is told of a delegation that is unknown, another's, revoked or over: all the same. */
export const delegationUnusable = "the delegation can't be used";
/** What is told to whoever proved who they are by what stands no longer: why is for the ledger. */
export const notProven = "what the client proves itself by is not good here: get another one";
export const partyInactive = "a party to this is not active";

/** What was done, as it was committed, and where that is recorded. */
export type Recorded<Thing> = Thing & { readonly ledger: LedgerPosition };

export interface RecordDeps {
  readonly append: AppendEntry;
  readonly recordRefusal: RecordRefusal;
  /** Drops what is cached of the thing of this id. */
  readonly invalidate: (id: string) => void;
}

/** What it takes to record something new. */
export interface CreateDeps extends RecordDeps {
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
}

/** The trail of what a principal asks for. */
export function trailOf(principal: Principal, context: RequestContext): Trail {
  const { organization, kind, id } = principal;
  return {
    organization,
    actor: { kind, id },
    ...(kind === "agent" && { agent: id, attestation: attestationBy(context.restsOn) }),
    ...requestOf(context),
  };
}

/** What an entry says of the request that caused it. */
export function requestOf({ requestId, txn }: RequestContext): Pick<LedgerEntryBody, "request" | "txn"> {
  return { ...(requestId !== undefined && { request: requestId }), ...(txn !== undefined && { txn }) };
}

/**
 * Records a refusal in the log of the principal that it concerns, then gives the error to throw.
 *
 * @param target what it was about, as far as repeats of it are one: of what the caller makes up freely, a hash at most
 * @throws DomainError `ledger_unavailable` when it could not be recorded
 */
export async function refuse(
  deps: Pick<RecordDeps, "recordRefusal">,
  type: LedgerEntryType,
  trail: Trail,
  target: string,
  refusal: Refusal,
): Promise<DomainError> {
  const { code, about, decided } = refusal;
  await deps.recordRefusal({
    key: `${type} ${trail.action} ${trail.actor.id} ${target} ${code}`,
    log: logOf(trail.organization),
    entry: {
      ...trail,
      ...about,
      type,
      refusal: recordable(refusal),
      ...(decided && { decision: decided.decision }),
    },
    writes: decided === undefined ? [] : [decided.write],
  });
  return new DomainError(code, toldTo(trail, refusal));
}

/** What the caller is told: an operator, who sees all parties, also which of them is not active. */
function toldTo({ actor }: Trail, refusal: Refusal): string {
  const { code, publicDetail } = refusal;
  return code === "subject_not_active" && actor.kind === "operator"
    ? `${publicDetail}: ${recordable(refusal).reason}`
    : publicDetail;
}

/**
 * Lets an operator pass.
 *
 * @throws DomainError `not_authorized` for everybody else, which is recorded
 */
export async function demandOperator(
  deps: Pick<RecordDeps, "recordRefusal">,
  type: LedgerEntryType,
  caller: Principal,
  trail: Trail,
): Promise<Extract<Principal, { kind: "operator" }>> {
  if (caller.kind === "operator") return caller;
  throw await refuse(deps, type, trail, "operator", {
    code: "not_authorized",
    publicDetail: "only an operator may do this",
    reason: "the caller is no operator",
  });
}

/**
 * Lets pass what was looked for and is there.
 *
 * @throws DomainError as the refusal says where it is not, which is recorded
 */
export async function demandFound<Found>(
  deps: Pick<RecordDeps, "recordRefusal">,
  trail: Trail,
  found: Found | undefined,
  refusal: Refusal,
): Promise<Found> {
  if (found === undefined) throw await refuse(deps, "mutation.refused", trail, "unknown", refusal);
  return found;
}

/** What happened, if everything it rests on still holds when it is committed. */
export interface Happening {
  readonly type: LedgerEntryType;
  readonly refusedAs: LedgerEntryType;
  readonly trail: Trail;
  /** What the entry says beside the trail when it happened. */
  readonly outcome?: Omit<LedgerEntryBody, "type" | "actor">;
  readonly writes: readonly Write[];
  readonly conditions: readonly Condition[];
  /** What is true beside these as long as what its client proved itself by stands. */
  readonly proven?: readonly Condition[];
  /** Of the request that it is done for. */
  readonly demands: Demands | undefined;
}

/**
 * Commits what happened with its rows, and with what its request demands: one request commits one happening. If a
 * condition no longer holds, or a unique value is taken, the refusal is committed instead, and thrown.
 *
 * @throws DomainError `invalid_delegation`, `subject_not_active`, `budget_exhausted`, `session_mismatch`, `commingling_refused`, `not_attested`,
 *   `conflict`; `precondition_failed`, `idempotency_key_in_use` for what the request demands; UsedBefore for evidence that somebody
 *   else used meanwhile, which leaves no entry; `ledger_unavailable` when nothing is known to be recorded
 */
export async function record(deps: RecordDeps, happening: Happening): Promise<LedgerPosition> {
  return (await recordSpending(deps, happening)).ledger;
}

/** Where something is recorded, and what the budgets that it spent from have left. */
export interface Spent {
  readonly ledger: LedgerPosition;
  readonly left: readonly BudgetLeft[];
}

/** The same, and tells what is left of what was spent. @throws DomainError as `record` does */
export async function recordSpending(deps: RecordDeps, happening: Happening): Promise<Spent> {
  const done = await commit(deps, happening);
  if (done instanceof ValueTaken) throw await conflict(deps, happening);
  return done;
}

/**
 * The same for what somebody else may have done first: that a value is taken in one of these unique indexes is no refusal,
 * and leaves no entry.
 *
 * @throws DomainError as `record` does
 */
export async function recordUnlessTaken(
  deps: RecordDeps,
  happening: Happening,
  indexes: readonly string[],
): Promise<LedgerPosition | "taken"> {
  const done = await commit(deps, happening);
  if (!(done instanceof ValueTaken)) return done.ledger;
  if (indexes.includes(done.index)) return "taken";
  throw await conflict(deps, happening);
}

function conflict(deps: RecordDeps, { refusedAs, trail }: Happening): Promise<DomainError> {
  return refuse(deps, refusedAs, trail, "unique", {
    code: "conflict",
    publicDetail: "it conflicts with what is there",
    reason: "a unique value is taken",
  });
}

async function commit(deps: RecordDeps, happening: Happening): Promise<Spent | ValueTaken> {
  const { type, refusedAs, trail, outcome, writes, conditions, proven = [], demands } = happening;
  const appended = await appendDemanded(
    deps,
    logOf(trail.organization),
    {
      entry: { ...trail, ...outcome, type },
      refused: { ...trail, type: refusedAs },
      refusalOf: (failed) =>
        proven.some((condition) => failed.some((one) => isOf(condition, one)))
          ? { code: "unauthenticated", publicDetail: notProven, reason: reasonOf(failed) }
          : refusalOfFailed(failed, writes),
      writes,
      conditions: [...conditions, ...proven],
    },
    demands,
  ).catch((error: unknown) => {
    if (error instanceof ValueTaken) return error;
    throw error;
  });
  if (appended instanceof ValueTaken) return appended;
  const { log, index } = appended;
  if (appended.committed) return { ledger: { log, index }, left: appended.left };
  // What was read said otherwise: it was out of date.
  for (const { on, id } of appended.failed) if (isCached(on)) deps.invalidate(id);
  throw new ConditionsFailed(appended.refusal.code, toldTo(trail, appended.refusal), appended.failed);
}

/** Nobody keeps what is left of a budget, or what was used in a transaction: their failing makes nothing old. */
function isCached(on: Failed["on"]): boolean {
  return !["budget", "rate", "transaction_session", "transaction_subject", "approved_checksum"].includes(on);
}

function refusalOfFailed(failed: readonly Failed[], writes: readonly Write[]): Refusal {
  const reason = reasonOf(failed);
  if (failed.every((one) => changes(writes, one))) {
    return { code: "conflict", publicDetail: "it was changed meanwhile", reason };
  }
  const isOn = (...kinds: readonly Failed["on"][]) => failed.some(({ on }) => kinds.includes(on));
  if (isOn("delegation", "revoked_token")) {
    return { code: "invalid_delegation", publicDetail: delegationUnusable, reason };
  }
  if (failed.every(({ on }) => on === "signing_key")) {
    return { code: "conflict", publicDetail: "the authority signs nothing more: try again", reason };
  }
  if (failed.every(({ on }) => on === "node_svid")) {
    return { code: "conflict", publicDetail: "another SVID of the node was used meanwhile", reason };
  }
  if (failed.every(({ on }) => on === "approved_checksum")) {
    const publicDetail = "the agent's configuration is not one that its owner approved";
    return { code: "not_attested", publicDetail, reason };
  }
  if (failed.every(({ on }) => on === "tenant_claim")) {
    const publicDetail = "this issuer is trusted already in a way that leaves no room for this";
    return { code: "conflict", publicDetail, reason };
  }
  if (isOn("agent_quota")) {
    return {
      code: "not_attested",
      publicDetail: "no more agents may be made of this issuer's subjects",
      reason,
    };
  }
  if (isOn("tenure")) {
    return { code: "conflict", publicDetail: "an agent has another owner by now", reason };
  }
  if (isOn("transaction_session")) {
    const publicDetail = "the transaction belongs to another session";
    return { code: "session_mismatch", publicDetail, reason };
  }
  if (isOn("transaction_subject")) {
    const publicDetail =
      "the transaction has another person's authority, and one of the two is to be kept apart";
    return { code: "commingling_refused", publicDetail, reason };
  }
  if (isOn("rate")) {
    const publicDetail = "the policy lets this be done so often only: try again later";
    return { code: "too_many_requests", publicDetail, reason };
  }
  if (failed.every(({ on }) => on === "stopped")) {
    // Tokens tell their time in whole seconds: what is issued within the one of the stop would be dead.
    const publicDetail = "an agent of it, or its node, was stopped a moment ago: try again in a second";
    return { code: "subject_not_active", publicDetail, reason };
  }
  return failed.every(({ on }) => on === "budget")
    ? { code: "budget_exhausted", publicDetail: "the delegation's budget does not suffice", reason }
    : { code: "subject_not_active", publicDetail: partyInactive, reason };
}

/** Whether what failed is the standing of the very thing that is changed: another change of it came first. */
function changes(writes: readonly Write[], { on, id }: Failed): boolean {
  return writes.some((write) =>
    "set" in write
      ? on === write.set && id === write.id
      : "transfer" in write && on === "agent" && id === write.transfer,
  );
}
