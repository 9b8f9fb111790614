import { DomainError } from "../../domain/domain-error.ts";
import type { Sealer } from "../../keys/sealer.ts";
import type { IdempotencyKeyName, SealedAnswer, StoredIdempotencyKey } from "../../store/idempotency-keys.ts";
import type { Write } from "../../store/write.ts";

/** A request that is to be done once: whoever sends it again under its key gets the first answer. */
export interface KeyedRequest extends IdempotencyKeyName {
  /** Over all that the request asks for. */
  readonly requestHash: string;
  /** Whether its answer may be kept. */
  readonly keepsAnswer: boolean;
}

/** What was answered: the octets of the body are those of `text` in UTF-8. */
export interface KeptAnswer {
  readonly status: number;
  readonly text: string;
}

export interface RepeatsDeps {
  readonly now: () => number;
  readonly sealer: Pick<Sealer, "seal" | "open">;
  readonly findIdempotencyKey: (name: IdempotencyKeyName) => Promise<StoredIdempotencyKey | undefined>;
  readonly addAnswer: (name: IdempotencyKeyName, answer: SealedAnswer) => Promise<void>;
}

/** How long a key stands for its request, in milliseconds. */
export const keyLifetimeMs = 24 * 60 * 60_000;
/** How long after its commit an answer is still expected to come. */
const answerDueMs = 10_000;

/** The row that makes a request be done once: of all commits that bear it, the database takes one. */
export function onceWrite(
  { now }: Pick<RepeatsDeps, "now">,
  { organization, principal, key, requestHash }: KeyedRequest,
): Write {
  const nowMs = now();
  const row = {
    organization_id: organization,
    principal_id: principal,
    key,
    request_hash: requestHash,
    created_at: new Date(nowMs),
    expires_at: new Date(nowMs + keyLifetimeMs),
  };
  return { into: "idempotency_key", row };
}

/**
 * The answer to an earlier request of this key, or undefined when none was done. Nothing is found under the key of
 * another principal.
 *
 * @throws DomainError `idempotency_key_reused` when that was another request; `idempotency_key_in_use` while its answer may
 *   still come; `conflict`, with the place of its entry, when the answer is lost or was never to be kept
 */
export async function recallAnswer(
  deps: RepeatsDeps,
  request: KeyedRequest,
): Promise<KeptAnswer | undefined> {
  const stored = await deps.findIdempotencyKey(request);
  if (stored === undefined) return undefined;
  const { requestHash, log, index, createdAt, answer } = stored;
  if (requestHash !== request.requestHash) {
    throw new DomainError(
      "idempotency_key_reused",
      "the idempotency key was sent with another request before",
    );
  }
  if (answer !== undefined) {
    const octets = await deps.sealer.open(answer.dataKeyId, answer.sealed, sealingContext(request));
    return { status: answer.status, text: Buffer.from(octets).toString("utf8") };
  }
  const where = `it is recorded at index ${index} of the log ${log}`;
  if (request.keepsAnswer && deps.now() - createdAt.getTime() < answerDueMs) {
    throw new DomainError(
      "idempotency_key_in_use",
      `the first request of this key is being answered; ${where}`,
    );
  }
  throw new DomainError("conflict", `this was done before, and its answer is not kept; ${where}`);
}

/** Keeps the answer for repeats of the request, if what it did came with its key. */
export async function keepAnswer(
  deps: RepeatsDeps,
  request: KeyedRequest,
  { status, text }: KeptAnswer,
): Promise<void> {
  if (!request.keepsAnswer) return;
  // Names and addresses of people stand in it.
  const { dataKeyId, sealed } = deps.sealer.seal(Buffer.from(text, "utf8"), sealingContext(request));
  await deps.addAnswer(request, { status, sealed, dataKeyId });
}

function sealingContext({ organization, principal, key }: IdempotencyKeyName): string {
  return `idempotency_key ${organization} ${principal} ${key}`;
}
