import { type ObligationWire, obligationSchema } from "../contract/obligation.ts";
import { isPlainObject } from "../model/bounded-json.ts";
import type { JsonValue } from "../model/canonical-json.ts";
import type { RateCounts } from "./rate-counts.ts";

export interface ObligationDeps {
  /** Where it is counted how often something happened; shared by every replica that is to count together. */
  readonly rates: RateCounts;
  /** Tells somebody of what is about to happen. What it throws keeps it from happening. */
  notify(whom: string, about: { readonly subject: string; readonly rule: string }): Promise<void>;
}

export interface ObligedRequest {
  /** Who is counted: the `sub` of the access token, say. */
  readonly subject: string;
  /** As the decision or the access token has them; undefined: none. */
  readonly obligations: readonly unknown[] | undefined;
  /** Whether the person behind the request proved again who they are, as this resource demands it. */
  readonly steppedUp: boolean;
}

/** Why a request must not pass though it is allowed. */
export type UnmetCode =
  | "obligation_unknown"
  | "insufficient_user_authentication"
  | "too_many_requests"
  | "notice_failed";

/** An obligation of an allowance is not met: the request is to be refused. */
export class ObligationUnmet extends Error {
  override readonly name = "ObligationUnmet";
  readonly code: UnmetCode;
  /** The policy line that obliges; undefined of what can't be read. */
  readonly rule: string | undefined;
  /** Of `too_many_requests`: after so many seconds it may be tried again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: UnmetCode,
    message: string,
    { rule, retryAfterSeconds, cause }: { rule?: string; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.rule = rule;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * Sees to the obligations of an allowance before the request is let through, and gives what makes its answer fit to be
 * sent. An obligation that this version does not know is not met. What counts or tells comes last, so that a request that
 * is refused for another reason is neither counted nor told of.
 *
 * @throws ObligationUnmet
 */
export async function meetObligations(
  deps: ObligationDeps,
  { subject, obligations: given = [], steppedUp }: ObligedRequest,
): Promise<(answer: JsonValue) => JsonValue> {
  const obligations = given.map(known);
  const stepUp = obligations.find(({ kind }) => kind === "step_up");
  if (stepUp !== undefined && !steppedUp) {
    const message = "the person has to prove again who they are";
    throw new ObligationUnmet("insufficient_user_authentication", message, { rule: stepUp.rule });
  }
  for (const one of obligations) if (one.kind === "rate") await demandRate(deps.rates, subject, one);
  for (const one of obligations) if (one.kind === "notify") await tell(deps, subject, one);
  const fields = obligations.flatMap((one) => (one.kind === "redact" ? [one.field.split(".")] : []));
  return (answer) => fields.reduce(without, answer);
}

/**
 * The `WWW-Authenticate` that answers a request which lacks a step-up.
 *
 * @see RFC 9470, section 3
 */
export function stepUpChallenge(scheme: "DPoP" | "Bearer" = "DPoP"): string {
  return `${scheme} error="insufficient_user_authentication", error_description="prove again who you are"`;
}

function known(given: unknown): ObligationWire {
  const parsed = obligationSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new ObligationUnmet("obligation_unknown", "an obligation is not one that can be met here", {
    cause: parsed.error,
  });
}

async function demandRate(
  rates: RateCounts,
  subject: string,
  { times, per_seconds: perSeconds, rule }: Extract<ObligationWire, { kind: "rate" }>,
): Promise<void> {
  const key = JSON.stringify([rule, subject]);
  const { counted, retryAfterSeconds } = await rates.count(key, times, perSeconds);
  if (counted) return;
  const message = `it may happen ${times} times in ${perSeconds} s`;
  throw new ObligationUnmet("too_many_requests", message, { rule, retryAfterSeconds });
}

async function tell(
  deps: ObligationDeps,
  subject: string,
  { whom, rule }: Extract<ObligationWire, { kind: "notify" }>,
): Promise<void> {
  try {
    await deps.notify(whom, { subject, rule });
  } catch (error) {
    throw new ObligationUnmet("notice_failed", "who is to be told could not be", { rule, cause: error });
  }
}

/** A value without the member at the end of a path, in whatever lists stand on the way. */
function without(value: JsonValue, path: readonly string[]): JsonValue {
  const [name = "", ...rest] = path;
  if (Array.isArray(value)) return value.map((item: JsonValue) => without(item, path));
  if (!isPlainObject(value) || !Object.hasOwn(value, name)) return value;
  const { [name]: member, ...others } = value as { readonly [name: string]: JsonValue };
  return rest.length === 0 || member === undefined ? others : { ...value, [name]: without(member, rest) };
}
