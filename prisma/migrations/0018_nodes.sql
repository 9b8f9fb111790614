-- What a machine may join with, once: its hash, never the token.
CREATE TABLE join_token (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  token_hash      text NOT NULL UNIQUE,
  name            text,
  expires_at      timestamptz(3) NOT NULL,
  status          text NOT NULL CHECK (status IN ('unused', 'used')),
  created_at      timestamptz(3) NOT NULL,
  used_at         timestamptz(3)
);
CREATE INDEX join_token_by_expiry ON join_token (expires_at);

-- A machine that serves the Workload API to what runs on it.
CREATE TABLE node (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  name            text NOT NULL,
  attestation     text NOT NULL CHECK (attestation IN ('join_token', 'x509pop', 'k8s_psat')),
  -- What was attested: a second machine with the same evidence is refused until the first is evicted.
  subject         text NOT NULL,
  selectors       text[] NOT NULL,
  status          text NOT NULL CHECK (status IN ('active', 'evicted')),
  attested_at     timestamptz(3) NOT NULL
);
CREATE INDEX node_by_organization ON node (organization_id, id);
CREATE UNIQUE INDEX node_once ON node (attestation, subject) WHERE status = 'active';

-- The X.509-SVIDs of nodes; the latest by index is the current one.
CREATE TABLE node_svid (
  serial          text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  node_id         text NOT NULL REFERENCES node (id),
  expires_at      timestamptz(3) NOT NULL,
  index           bigint NOT NULL
);
CREATE INDEX node_svid_by_node ON node_svid (node_id, index);
CREATE INDEX node_svid_by_expiry ON node_svid (expires_at);

-- Where the log tells of the last change: a node asks for what changed since it last did.
ALTER TABLE registration_entry ADD COLUMN index bigint NOT NULL DEFAULT 0;
