import type { Transition, Write } from "./write.ts";

export type InsertTable = Extract<Write, { into: string }>["into"];
type RowOf<Table extends InsertTable> = Extract<Write, { into: Table }>["row"];
type ColumnsOf<Table extends InsertTable> = Record<keyof RowOf<Table>, string>;

const shapes: { readonly [Table in InsertTable]: ColumnsOf<Table> } = {
  organization: { id: "text", name: "text", created_at: "timestamptz" },
  log: { id: "text", organization_id: "text", origin: "text", public: "boolean", created_at: "timestamptz" },
  operator: { id: "text", organization_id: "text", name: "text", status: "text", created_at: "timestamptz" },
  user: {
    id: "text",
    organization_id: "text",
    name: "text",
    email: "text",
    status: "text",
    created_at: "timestamptz",
  },
  agent: {
    id: "text",
    organization_id: "text",
    owner_id: "text",
    name: "text",
    kind: "text",
    status: "text",
    expires_at: "timestamptz",
    created_at: "timestamptz",
  },
  agent_owner: { agent_id: "text", organization_id: "text", owner_id: "text" },
  resource: {
    id: "text",
    organization_id: "text",
    audience: "text",
    scope: "text[]",
    owner_id: "text",
    open: "boolean",
    status: "text",
    created_at: "timestamptz",
  },
  credential: {
    id: "text",
    organization_id: "text",
    principal_kind: "text",
    principal_id: "text",
    thumbprint: "text",
    public_jwk: "text",
    status: "text",
    created_at: "timestamptz",
  },
  client_profile: {
    organization_id: "text",
    principal_id: "text",
    redirect_uris: "text[]",
    auth_method: "text",
    dpop_nonce_required: "boolean",
    compat: "boolean",
    secret_verifier: "text",
    created_at: "timestamptz",
  },
  delegation: {
    id: "text",
    organization_id: "text",
    root_id: "text",
    parent_id: "text",
    path: "text[]",
    subject_id: "text",
    grantor_agent_id: "text",
    grantee_agent_id: "text",
    grantee_tenure: "integer",
    resource_id: "text",
    scope: "text[]",
    authorization_details: "text",
    budget: "text",
    onward: "text",
    max_depth: "smallint",
    expires_at: "timestamptz",
    status: "text",
    asserted_by: "text",
    created_at: "timestamptz",
    redeemed_jti: "text",
    session: "text",
  },
  budget: { delegation_id: "text", organization_id: "text", unit: "text", allowance: "bigint" },
  action: {
    id: "text",
    organization_id: "text",
    agent_id: "text",
    owner_id: "text",
    subject_id: "text",
    delegation_id: "text",
    jti: "text",
    txn: "text",
    resource: "text",
    scope: "text[]",
    action: "text",
    tool_server: "text",
    tool: "text",
    arguments_hash: "text",
    decided_at: "timestamptz",
  },
  action_report: {
    organization_id: "text",
    reporter_kind: "text",
    reporter_id: "text",
    jti: "text",
    claims_hash: "text",
    agent_id: "text",
    delegation_id: "text",
    action_id: "text",
    standing: "text",
    outcome: "text",
    jws: "text",
    reported_at: "timestamptz",
  },
  revoked_token: {
    jti: "text",
    organization_id: "text",
    expires_at: "timestamptz",
    created_at: "timestamptz",
  },
  revocation: { organization_id: "text", kind: "text", node_id: "text", revoked_at: "timestamptz" },
  transaction_session: { organization_id: "text", txn: "text", session: "text", expires_at: "timestamptz" },
  signing_key: {
    id: "text",
    purpose: "text",
    log_id: "text",
    algorithm: "text",
    public_jwk: "text",
    sealed: "bytea",
    data_key_id: "text",
    status: "text",
    created_at: "timestamptz",
    activated_at: "timestamptz",
    to_be_signed: "bytea",
    upstream: "text[]",
    not_after: "timestamptz",
  },
  registration_entry: {
    id: "text",
    organization_id: "text",
    agent_id: "text",
    parent_id: "text",
    selectors: "text[]",
    selectors_hash: "text",
    x509_ttl_seconds: "integer",
    jwt_ttl_seconds: "integer",
    dns_names: "text[]",
    hint: "text",
    federates_with: "text[]",
    status: "text",
    created_at: "timestamptz",
  },
  join_token: {
    id: "text",
    organization_id: "text",
    token_hash: "text",
    name: "text",
    expires_at: "timestamptz",
    status: "text",
    created_at: "timestamptz",
  },
  node: {
    id: "text",
    organization_id: "text",
    name: "text",
    attestation: "text",
    subject: "text",
    selectors: "text[]",
    status: "text",
    attested_at: "timestamptz",
  },
  node_svid: { serial: "text", organization_id: "text", node_id: "text", expires_at: "timestamptz" },
  policy_version: { hash: "text", text: "text", created_at: "timestamptz" },
  policy_applied: { organization_id: "text", hash: "text", applied_at: "timestamptz" },
  decision_input: {
    hash: "text",
    organization_id: "text",
    sealed: "bytea",
    data_key_id: "text",
    created_at: "timestamptz",
  },
  idempotency_key: {
    organization_id: "text",
    principal_id: "text",
    key: "text",
    request_hash: "text",
    created_at: "timestamptz",
    expires_at: "timestamptz",
  },
};

/** A column that a batch inserts into, with its SQL type. */
export interface InsertColumn {
  readonly name: string;
  readonly type: string;
}

/** The columns of a table that a batch inserts into. */
export function insertColumns(table: InsertTable): readonly InsertColumn[] {
  return Object.entries(shapes[table]).map(([name, type]) => ({ name, type }));
}

/** The tables where a row that stands already is left as it is; elsewhere it is a conflict. */
export const tolerantTables: ReadonlySet<InsertTable> = new Set([
  "policy_version",
  "revoked_token",
  "transaction_session",
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
  client_profile: "principal_id",
  registration_entry: "id",
};

/** The tables whose rows have a status, as SQL names them. */
export const transitionTables: Readonly<Record<Transition["set"], string>> = {
  user: '"user"',
  agent: "agent",
  resource: "resource",
  operator: "operator",
  credential: "credential",
  delegation: "delegation",
  signing_key: "signing_key",
  registration_entry: "registration_entry",
  join_token: "join_token",
  node: "node",
};
