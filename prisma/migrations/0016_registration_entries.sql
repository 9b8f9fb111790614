-- Which workloads an agent's SVIDs are given to: those of which attestation finds all of these selectors true.
CREATE TABLE registration_entry (
  id               text PRIMARY KEY,
  organization_id  text NOT NULL REFERENCES organization (id),
  agent_id         text NOT NULL REFERENCES agent (id),
  -- The node that attests and serves; null for the server itself.
  parent_id        text,
  -- Sorted, each once.
  selectors        text[] NOT NULL CHECK (cardinality(selectors) BETWEEN 1 AND 32),
  -- SHA-256 of them: they may be longer than an index takes.
  selectors_hash   text NOT NULL,
  x509_ttl_seconds integer NOT NULL CHECK (x509_ttl_seconds BETWEEN 60 AND 3600),
  jwt_ttl_seconds  integer NOT NULL CHECK (jwt_ttl_seconds BETWEEN 30 AND 300),
  dns_names        text[] NOT NULL,
  hint             text,
  federates_with   text[] NOT NULL,
  status           text NOT NULL CHECK (status IN ('active', 'deleted')),
  created_at       timestamptz(3) NOT NULL
);
CREATE INDEX registration_entry_by_organization ON registration_entry (organization_id, id);
CREATE INDEX registration_entry_by_agent ON registration_entry (agent_id, id);
CREATE INDEX registration_entry_by_parent ON registration_entry (organization_id, parent_id, id) WHERE status = 'active';
CREATE UNIQUE INDEX registration_entry_once
  ON registration_entry (agent_id, coalesce(parent_id, ''), selectors_hash)
  WHERE status = 'active';
