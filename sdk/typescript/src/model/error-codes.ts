/** Every code an error of Countersign bears on the wire; each has a page under docs/errors. */
export const errorCodes = [
  "invalid_request",
  "unauthenticated",
  "invalid_token",
  "use_dpop_nonce",
  "insufficient_scope",
  "not_found",
  "conflict",
  "idempotency_key_in_use",
  "idempotency_key_reused",
  "precondition_failed",
  "invalid_target",
  "invalid_scope",
  "invalid_delegation",
  "scope_widening",
  "actor_unauthorized",
  "session_mismatch",
  "budget_exhausted",
  "not_authorized",
  "subject_not_active",
  "entry_refused",
  "ledger_unavailable",
  "ledger_behind",
  "payload_too_large",
  "internal",
] as const;

export type ErrorCode = (typeof errorCodes)[number];
