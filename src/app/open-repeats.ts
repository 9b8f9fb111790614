import type { Repeats } from "../http/perform-once.ts";
import { keepAnswer, onceWrite, recallAnswer } from "../journeys/idempotency/repeats.ts";
import {
  addAnswer,
  findIdempotencyKey,
  type IdempotencyKeyName,
  type SealedAnswer,
} from "../store/idempotency-keys.ts";
import type { OpenLedger } from "./open-ledger.ts";

/** What is known of requests that were done under a key, on this database. */
export function openRepeats({ db, sealer }: Pick<OpenLedger, "db" | "sealer">): Repeats {
  const deps = {
    now: Date.now,
    sealer,
    findIdempotencyKey: (name: IdempotencyKeyName) => findIdempotencyKey(db, name),
    addAnswer: (name: IdempotencyKeyName, answer: SealedAnswer) => addAnswer(db, name, answer),
  };
  return {
    once: (request) => onceWrite(deps, request),
    recall: (request) => recallAnswer(deps, request),
    keep: (request, answer) => keepAnswer(deps, request, answer),
  };
}
