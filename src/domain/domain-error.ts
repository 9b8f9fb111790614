import type { ErrorCode } from "@countersign/sdk/model/error-codes";

/**
 * The one error that journeys throw. `publicDetail` goes to the caller: never a token, a key, SQL, or a hint of what
 * exists. `cause` is for the log only.
 */
export class DomainError extends Error {
  override readonly name = "DomainError";
  readonly code: ErrorCode;
  readonly publicDetail: string;

  constructor(code: ErrorCode, publicDetail: string, cause?: unknown) {
    super(`${code}: ${publicDetail}`, { cause });
    this.code = code;
    this.publicDetail = publicDetail;
  }
}

/** A refusal by the commit itself: something of what was to be done rests on holds no longer. */
export class ConditionsFailed extends DomainError {
  /** What it was read of, each by its kind and id. */
  readonly failed: readonly { readonly on: string; readonly id: string }[];

  constructor(code: ErrorCode, publicDetail: string, failed: ConditionsFailed["failed"]) {
    super(code, publicDetail);
    this.failed = failed;
  }
}

/** `not_attested`: what is good once was used before. */
export class UsedBefore extends DomainError {
  constructor(cause?: unknown) {
    super("not_attested", "it was used before: get another one", cause);
  }
}

/** A `conflict` with what is there: a unique value is taken. */
export class ValueTaken extends DomainError {
  /** The unique index that it is taken in. */
  readonly index: string;

  constructor(index: string, cause?: unknown) {
    super("conflict", "it conflicts with what is there", cause);
    this.index = index;
  }
}
