import type { Write } from "./write.ts";

type SvidTable =
  | "registration_entry"
  | "svid"
  | "join_token"
  | "node"
  | "node_svid"
  | "federated_trust_domain"
  | "federated_bundle";

type ColumnsOf<Table extends SvidTable> = Record<keyof Extract<Write, { into: Table }>["row"], string>;

/** The columns of what SVIDs, nodes and foreign trust domains are kept in. */
export const svidColumns: { readonly [Table in SvidTable]: ColumnsOf<Table> } = {
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
  svid: {
    id: "text",
    organization_id: "text",
    agent_id: "text",
    entry_id: "text",
    node_id: "text",
    checksum: "text",
    claims_hash: "text",
    issued_at: "timestamptz",
    expires_at: "timestamptz",
  },
  join_token: {
    id: "text",
    organization_id: "text",
    token_hash: "text",
    name: "text",
    expires_at: "timestamptz",
    status: "text",
    created_at: "timestamptz",
    node_id: "text",
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
  node_svid: {
    id: "text",
    organization_id: "text",
    node_id: "text",
    expires_at: "timestamptz",
    public_key_hash: "text",
    status: "text",
    follows: "text",
    authority: "text",
  },
  federated_trust_domain: {
    id: "text",
    trust_domain: "text",
    endpoint_url: "text",
    profile: "text",
    endpoint_spiffe_id: "text",
    ca: "text",
    private_allowed: "boolean",
    trusted_for_seconds: "integer",
    status: "text",
    created_at: "timestamptz",
    due_at: "timestamptz",
  },
  federated_bundle: { federation_id: "text", revision: "integer", bundle: "text", sequence: "bigint" },
};
