import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import type { LogId } from "@countersign/sdk/model/ids";
import { DomainError, UsedBefore, ValueTaken } from "../../domain/domain-error.ts";
import type { AppendEntry, Appended } from "../../ledger/append.ts";
import type { Condition, Failed, Write } from "../../store/write.ts";
import { type Refusal, recordable } from "./refusal.ts";

/** What a request wants committed, and to be true, together with whatever it does. */
export interface Demands {
  readonly writes: readonly Write[];
  readonly conditions: readonly Condition[];
}

/** What it is told of a thing that is not what `If-Match` says. */
export const changedSince = "it was changed since it was read";

/** What to append, and what in its place where a condition no longer holds. */
export interface DemandedAppend {
  readonly entry: LedgerEntryBody;
  readonly refused: LedgerEntryBody;
  readonly refusalOf: (failed: readonly Failed[]) => Refusal;
  readonly writes: readonly Write[];
  readonly conditions: readonly Condition[];
}

/**
 * Appends with what the request demands.
 *
 * @throws DomainError `idempotency_key_in_use`; UsedBefore for what is good once; or as AppendEntry does
 */
export async function appendDemanded(
  { append }: { readonly append: AppendEntry },
  log: LogId,
  { entry, refused, writes, conditions, ...asked }: DemandedAppend,
  demands: Demands = { writes: [], conditions: [] },
): Promise<AppendedOrRefused> {
  const refusalOf = (failed: readonly Failed[]): Refusal =>
    demands.conditions.some((condition) => failed.some((one) => isOf(condition, one)))
      ? { code: "precondition_failed", publicDetail: changedSince, reason: reasonOf(failed) }
      : asked.refusalOf(failed);
  const appended = await append(log, {
    entry,
    writes: [...writes, ...demands.writes],
    conditions: [...conditions, ...demands.conditions],
    otherwise: (failed) => ({ ...refused, refusal: recordable(refusalOf(failed)) }),
  }).catch((error: unknown) => {
    if (!(error instanceof ValueTaken)) throw error;
    if (error.index === usedIndex) throw new UsedBefore(error);
    if (error.index !== onceIndex) throw error;
    throw new DomainError("idempotency_key_in_use", "another request of this key came first", error);
  });
  return appended.committed ? appended : { ...appended, refusal: refusalOf(appended.failed) };
}

/** Whether it is this condition that failed, or one thing that it says. */
export function isOf(condition: Condition, failed: Failed): boolean {
  if (failed === condition) return true;
  if (!("status" in condition) || condition.id !== failed.id) return false;
  return failed.on === "tenure"
    ? failed.tenure === condition.tenure
    : failed.on === "stopped" && failed.since === condition.unstoppedSince;
}

type AppendedOrRefused =
  | Extract<Appended, { committed: true }>
  | (Extract<Appended, { committed: false }> & { readonly refusal: Refusal });

/** Where a request that is done once has its key: what is taken there is nothing that was asked for. */
const onceIndex = "idempotency_key_pkey";
/** Where evidence that is good once is taken: as little. */
const usedIndex = "replay_pkey";

/** What failed, in words for the ledger. */
export function reasonOf(failed: readonly Failed[]): string {
  return `not ${failed.map(wordsOf).join(", ")}`;
}

function wordsOf(failed: Failed): string {
  switch (failed.on) {
    case "tenure":
      return `${failed.id} in tenure ${failed.tenure}`;
    case "stopped":
      return `${failed.id} unstopped since ${failed.since}`;
    case "revoked_token":
      return `${failed.id} unrevoked`;
    case "transaction_subject":
      return `${failed.id} with the authority of ${failed.subject}${failed.exclusive ? ", exclusively" : ""}`;
    case "transaction_session":
      return `${failed.id} in session ${failed.session}`;
    case "client_profile":
      return `${failed.id} as it was last set`;
    case "approved_checksum":
      return failed.checksum === null
        ? `${failed.id} with a checksum that was measured`
        : `${failed.id} with checksum ${failed.checksum} approved`;
    case "tenant_claim":
      return `${failed.id} trusted apart from others by ${failed.claim ?? "itself"}`;
    case "agent_quota":
      return `${failed.id} with an agent left to make`;
    case "rate":
      return `${failed.id} fewer than ${failed.times} times since ${failed.since}`;
    case "reservation":
      return `${failed.id} unreported`;
    case "budget":
      return `${failed.id} with ${failed.unit} left`;
    default:
      return `${failed.id} ${failed.status.join(" or ")}${failed.parent === undefined ? "" : ` below ${failed.parent}`}`;
  }
}
