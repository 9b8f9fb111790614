import type { InsertTable } from "./table-columns.ts";

/** The tables where a row that stands already is left as it is; elsewhere it is a conflict. */
export const tolerantTables: ReadonlySet<InsertTable> = new Set([
  "policy_version",
  "revoked_token",
  "transaction_session",
  "transaction_subject",
]);

/** The columns, for some tables, in which rows say where the entry stands that they came with. */
export const placedTables: ReadonlyMap<InsertTable, readonly ("log_id" | "index")[]> = new Map([
  ["action", ["log_id", "index"]],
  ["action_report", ["log_id", "index"]],
  ["agent_owner", ["index"]],
  ["client_profile", ["log_id", "index"]],
  ["delegation", ["index"]],
  ["idempotency_key", ["log_id", "index"]],
  ["node_svid", ["index"]],
  ["registration_entry", ["index"]],
  ["revocation", ["log_id", "index"]],
]);

/** The tables whose new rows change something that is cached, each with the column that names it. */
export const announcedTables: Readonly<Partial<Record<InsertTable, string>>> = {
  // The first one ends what was issued without any.
  agent_checksum: "agent_id",
  client_profile: "principal_id",
  registration_entry: "id",
  federated_trust_domain: "id",
  federated_bundle: "federation_id",
  policy_applied: "organization_id",
};
