import type { ErrorCode } from "@countersign/sdk/model/error-codes";

/** How one code is told: to HTTP callers, and to OAuth clients. */
interface ErrorRow {
  readonly status: number;
  /** RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 9396 §5: what an OAuth endpoint answers. */
  readonly oauthError: string;
  readonly title: string;
}

/** One row per code; the page is docs/errors/<code>.md. */
export const errorTable: Readonly<Record<ErrorCode, ErrorRow>> = {
  invalid_request: { status: 400, oauthError: "invalid_request", title: "The request is malformed" },
  unauthenticated: { status: 401, oauthError: "invalid_client", title: "Nobody is signed in" },
  invalid_token: { status: 401, oauthError: "invalid_token", title: "The access token is not valid" },
  use_dpop_nonce: { status: 401, oauthError: "use_dpop_nonce", title: "The proof lacks a nonce" },
  insufficient_scope: {
    status: 403,
    oauthError: "insufficient_scope",
    title: "The access token lacks a scope",
  },
  not_found: { status: 404, oauthError: "invalid_request", title: "There is no such thing" },
  conflict: { status: 409, oauthError: "invalid_request", title: "It conflicts with what is there" },
  idempotency_key_in_use: {
    status: 409,
    oauthError: "invalid_request",
    title: "The first request of this key is under way",
  },
  idempotency_key_reused: {
    status: 422,
    oauthError: "invalid_request",
    title: "The key belongs to another request",
  },
  precondition_failed: {
    status: 412,
    oauthError: "invalid_request",
    title: "It is no longer as it was",
  },
  invalid_target: { status: 400, oauthError: "invalid_target", title: "The resource is not one to ask for" },
  invalid_scope: { status: 400, oauthError: "invalid_scope", title: "The scope is not one to ask for" },
  invalid_authorization_details: {
    status: 400,
    oauthError: "invalid_authorization_details",
    title: "The authorization_details can't be read",
  },
  invalid_delegation: {
    status: 400,
    oauthError: "invalid_request",
    title: "The delegation can't be redeemed",
  },
  scope_widening: { status: 400, oauthError: "invalid_scope", title: "Authority only narrows" },
  actor_unauthorized: {
    status: 403,
    oauthError: "actor_unauthorized",
    title: "The client may not act on this token",
  },
  session_mismatch: {
    status: 403,
    oauthError: "invalid_request",
    title: "The transaction belongs to another session",
  },
  commingling_refused: {
    status: 403,
    oauthError: "invalid_request",
    title: "The transaction has another person's authority",
  },
  budget_exhausted: { status: 403, oauthError: "invalid_request", title: "The budget does not suffice" },
  outside_details: {
    status: 403,
    oauthError: "access_denied",
    title: "The authorization_details do not let it through",
  },
  not_authorized: { status: 403, oauthError: "access_denied", title: "Policy does not allow it" },
  not_attested: { status: 403, oauthError: "access_denied", title: "Attestation did not hold" },
  policy_refused: { status: 422, oauthError: "invalid_request", title: "The policy is not fit for use" },
  subject_not_active: { status: 403, oauthError: "invalid_request", title: "A party is no longer active" },
  entry_refused: { status: 400, oauthError: "invalid_request", title: "It can't be recorded as it is" },
  ledger_unavailable: {
    status: 503,
    oauthError: "temporarily_unavailable",
    title: "The ledger can't record now",
  },
  ledger_behind: {
    status: 503,
    oauthError: "temporarily_unavailable",
    title: "The ledger is behind its checkpoint",
  },
  payload_too_large: { status: 413, oauthError: "invalid_request", title: "The request is too large" },
  too_many_requests: {
    status: 429,
    oauthError: "temporarily_unavailable",
    title: "Too much is asked at once",
  },
  internal: { status: 500, oauthError: "server_error", title: "Something failed inside" },
};
