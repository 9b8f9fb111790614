-- Issuers of others (a CI system, a platform) whose assertions say which workload asks, each trusted by one organization.
CREATE TABLE trusted_issuer (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  -- Exactly as its tokens spell it.
  issuer          text NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('workload', 'id_jag')),
  audience        text NOT NULL,
  -- The JWK set that was pinned; null: it is discovered at the issuer.
  jwks            text,
  -- Of an issuer that serves many: the claim by which its token is the organization's.
  tenant_claim    text,
  tenant_value    text,
  max_age_seconds integer NOT NULL CHECK (max_age_seconds BETWEEN 1 AND 3600),
  algorithms      text[] NOT NULL CHECK (cardinality(algorithms) > 0),
  status          text NOT NULL CHECK (status IN ('active', 'distrusted')),
  created_at      timestamptz(3) NOT NULL,
  CHECK (num_nulls(tenant_claim, tenant_value) IN (0, 2))
);
-- Whose a token is must never depend on who is asked.
CREATE UNIQUE INDEX trusted_issuer_by_tenant ON trusted_issuer (issuer, tenant_claim, tenant_value)
  NULLS NOT DISTINCT WHERE status = 'active';
CREATE INDEX trusted_issuer_by_organization ON trusted_issuer (organization_id, id);

-- Which agent a subject of a trusted issuer is, or by which rule a new one is made of it.
CREATE TABLE subject_mapping (
  id                text PRIMARY KEY,
  organization_id   text NOT NULL REFERENCES organization (id),
  trusted_issuer_id text NOT NULL REFERENCES trusted_issuer (id),
  -- Null: any.
  subject           text,
  -- name=value, sorted; all of them must be so.
  claims            text[] NOT NULL,
  agent_id          text REFERENCES agent (id),
  owner_id          text REFERENCES "user" (id),
  agent_kind        text CHECK (agent_kind IN ('manager', 'worker', 'tool')),
  name_prefix       text,
  -- The rule that this one was made by.
  provisioned_by    text REFERENCES subject_mapping (id),
  status            text NOT NULL CHECK (status IN ('active', 'unmapped')),
  created_at        timestamptz(3) NOT NULL,
  CHECK (num_nulls(agent_id, owner_id) = 1),
  CHECK (num_nulls(owner_id, agent_kind, name_prefix) IN (0, 3)),
  CHECK (owner_id IS NULL OR subject IS NULL),
  -- All that an issuer vouches for as one agent is never meant.
  CHECK (agent_id IS NULL OR subject IS NOT NULL OR cardinality(claims) > 0)
);
-- However many servers meet a subject for the first time at once, it becomes one agent.
CREATE UNIQUE INDEX subject_mapping_by_subject ON subject_mapping (trusted_issuer_id, subject, claims)
  NULLS NOT DISTINCT WHERE status = 'active';
CREATE INDEX subject_mapping_by_issuer ON subject_mapping (trusted_issuer_id, id);
