import { type LedgerEntryBody, reasonCharsMax } from "@countersign/sdk/contract/ledger-entry";
import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import type { Write } from "../../store/write.ts";

/** Why something is refused: in words for the caller, and in words for the ledger. */
export interface Refusal {
  readonly code: ErrorCode;
  /** Never a hint of what exists. */
  readonly publicDetail: string;
  readonly reason: string;
  /** What the entry says beside the trail, the caller's own words too: repeats are one whatever they are. */
  readonly about?: Pick<LedgerEntryBody, "action" | "tool" | "scope" | "detail">;
  /** What the policy said, and the rows it rests on. */
  readonly decided?: { readonly decision: NonNullable<LedgerEntryBody["decision"]>; readonly write: Write };
}

/** What an entry says of a refusal, of which it is a legal part whatever the reason quotes. */
export function recordable({ code, reason }: Refusal): NonNullable<LedgerEntryBody["refusal"]> {
  // The cut may leave half a surrogate pair, which can't be stored; nor can NUL.
  return { code, reason: reason.slice(0, reasonCharsMax).toWellFormed().replaceAll("\0", "\ufffd") };
}

/** A refusal whose words for the caller are those for the ledger. */
export function plainRefusal(code: ErrorCode, publicDetail: string): Refusal {
  return { code, publicDetail, reason: publicDetail };
}
