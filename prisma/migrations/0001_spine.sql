-- The spine: who there is, what they delegated, the keys, and the logs. Identifiers are compared octet by octet.

CREATE TABLE installation (
  id           smallint PRIMARY KEY CHECK (id = 1),
  issuer       text NOT NULL,
  trust_domain text NOT NULL,
  created_at   timestamptz(3) NOT NULL
);

CREATE TABLE organization (
  id         text PRIMARY KEY,
  name       text NOT NULL,
  created_at timestamptz(3) NOT NULL
);

CREATE TABLE "user" (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  name            text NOT NULL,
  email           text,
  status          text NOT NULL CHECK (status IN ('active', 'offboarded')),
  created_at      timestamptz(3) NOT NULL
);
CREATE INDEX user_by_organization ON "user" (organization_id, id);

CREATE TABLE agent (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  owner_id        text NOT NULL REFERENCES "user" (id),
  name            text NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('manager', 'worker', 'tool')),
  status          text NOT NULL CHECK (status IN ('active', 'suspended', 'retired')),
  created_at      timestamptz(3) NOT NULL
);
CREATE INDEX agent_by_organization ON agent (organization_id, id);
CREATE INDEX agent_by_owner ON agent (owner_id);

CREATE TABLE resource (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  audience        text NOT NULL UNIQUE,
  scope           text[] NOT NULL,
  owner_id        text REFERENCES "user" (id),
  -- Whether every User of the organization may grant its scopes.
  open            boolean NOT NULL,
  status          text NOT NULL CHECK (status IN ('active', 'retired')),
  created_at      timestamptz(3) NOT NULL
);
CREATE INDEX resource_by_organization ON resource (organization_id, id);
-- An origin with and without its slash is one audience.
CREATE UNIQUE INDEX resource_one_spelling ON resource (regexp_replace(audience, '^(https?://[^/?]+)/$', '\1'));

CREATE TABLE operator (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  name            text NOT NULL,
  status          text NOT NULL CHECK (status IN ('active', 'retired')),
  created_at      timestamptz(3) NOT NULL
);

CREATE TABLE credential (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  principal_kind  text NOT NULL CHECK (principal_kind IN ('agent', 'resource', 'operator')),
  principal_id    text NOT NULL,
  -- RFC 7638 thumbprint. One key speaks for one principal, ever.
  thumbprint      text NOT NULL UNIQUE,
  public_jwk      text NOT NULL,
  status          text NOT NULL CHECK (status IN ('active', 'revoked')),
  created_at      timestamptz(3) NOT NULL
);
CREATE INDEX credential_by_principal ON credential (principal_id);

CREATE TABLE delegation (
  id                    text PRIMARY KEY,
  organization_id       text NOT NULL REFERENCES organization (id),
  root_id               text NOT NULL,
  parent_id             text REFERENCES delegation (id),
  -- Ids from the root to this delegation itself.
  path                  text[] NOT NULL,
  subject_id            text NOT NULL REFERENCES "user" (id),
  -- The grantee of the parent, or null when the subject itself granted.
  grantor_agent_id      text REFERENCES agent (id),
  grantee_agent_id      text NOT NULL REFERENCES agent (id),
  resource_id           text NOT NULL REFERENCES resource (id),
  scope                 text[] NOT NULL,
  authorization_details text NOT NULL DEFAULT '[]',
  budget                text NOT NULL DEFAULT '{}',
  onward                text NOT NULL DEFAULT '[]',
  max_depth             smallint NOT NULL CHECK (max_depth BETWEEN 0 AND 15),
  expires_at            timestamptz(3) NOT NULL,
  status                text NOT NULL CHECK (status IN ('active', 'revoked')),
  asserted_by           text REFERENCES operator (id),
  created_at            timestamptz(3) NOT NULL,
  CHECK (path[1] = root_id AND path[cardinality(path)] = id),
  CHECK (cardinality(path) <= 16),
  CHECK ((parent_id IS NULL) = (id = root_id)),
  CHECK ((parent_id IS NULL) = (grantor_agent_id IS NULL))
);
CREATE INDEX delegation_by_organization ON delegation (organization_id, id);
CREATE INDEX delegation_by_root ON delegation (root_id);
CREATE INDEX delegation_by_grantee ON delegation (grantee_agent_id);
CREATE INDEX delegation_by_grantor ON delegation (grantor_agent_id);

CREATE TABLE revoked_token (
  jti             text NOT NULL,
  organization_id text NOT NULL REFERENCES organization (id),
  expires_at      timestamptz(3) NOT NULL,
  created_at      timestamptz(3) NOT NULL,
  -- By organization: none can take the place of another's revocation.
  PRIMARY KEY (organization_id, jti)
);
CREATE INDEX revoked_token_by_expiry ON revoked_token (expires_at);

-- One-time values already seen: client assertions and DPoP proofs.
CREATE TABLE replay (
  key        text PRIMARY KEY,
  expires_at timestamptz(3) NOT NULL
);
CREATE INDEX replay_by_expiry ON replay (expires_at);

CREATE TABLE data_key (
  -- 1, 2, 3 …: of two processes that make the next one at once, one finds its number taken.
  id         text PRIMARY KEY,
  -- Which key-encryption key wrapped it.
  kek_id     text NOT NULL,
  wrapped    bytea NOT NULL,
  created_at timestamptz(3) NOT NULL
);

CREATE TABLE signing_key (
  id           text PRIMARY KEY,
  purpose      text NOT NULL CHECK (purpose IN ('token', 'log')),
  -- Set for purpose 'log': a log's key signs no other log.
  log_id       text,
  algorithm    text NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA')),
  public_jwk   text NOT NULL,
  sealed       bytea NOT NULL,
  data_key_id  text NOT NULL REFERENCES data_key (id),
  status       text NOT NULL CHECK (status IN ('next', 'active', 'retired')),
  created_at   timestamptz(3) NOT NULL,
  activated_at timestamptz(3),
  retired_at   timestamptz(3),
  CHECK ((purpose = 'log') = (log_id IS NOT NULL)),
  -- Deferrable, so that they are checked once the statement is over: a rotation retires one key and activates the next
  -- in one statement, whose rows change in no certain order. A unique index would be checked row by row.
  CONSTRAINT signing_key_one_active EXCLUDE USING btree (purpose WITH =, (coalesce(log_id, '')) WITH =)
    WHERE (status = 'active') DEFERRABLE,
  CONSTRAINT signing_key_one_next EXCLUDE USING btree (purpose WITH =, (coalesce(log_id, '')) WITH =)
    WHERE (status = 'next') DEFERRABLE
);

CREATE TABLE policy_version (
  hash       text PRIMARY KEY,
  text       text NOT NULL,
  created_at timestamptz(3) NOT NULL
);

-- Decision inputs by salted hash: encrypted, erasable, never part of an entry.
CREATE TABLE decision_input (
  hash            text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  sealed          bytea NOT NULL,
  data_key_id     text NOT NULL REFERENCES data_key (id),
  created_at      timestamptz(3) NOT NULL
);

CREATE TABLE log (
  id             text PRIMARY KEY,
  organization_id text UNIQUE REFERENCES organization (id),
  origin         text NOT NULL UNIQUE,
  -- Index the next entry takes; each batch moves it by compare-and-set, and so does every revocation.
  next_index     bigint NOT NULL DEFAULT 0,
  -- Tree size of the published checkpoint, moved by compare-and-swap.
  published_size bigint NOT NULL DEFAULT 0,
  checkpoint     text,
  public         boolean NOT NULL DEFAULT false,
  created_at     timestamptz(3) NOT NULL,
  CHECK (published_size <= next_index)
);

CREATE TABLE ledger_entry (
  log_id    text NOT NULL,
  index     bigint NOT NULL,
  -- The exact octets that were hashed.
  entry     text NOT NULL,
  leaf_hash bytea NOT NULL,
  PRIMARY KEY (log_id, index)
) PARTITION BY RANGE (index);
CREATE TABLE ledger_entry_0 PARTITION OF ledger_entry FOR VALUES FROM (0) TO (4194304);

-- Full tiles only: 256 hashes of 32 octets, and their root, which is one hash of the level above.
CREATE TABLE tile (
  log_id text NOT NULL,
  level  smallint NOT NULL,
  index  bigint NOT NULL,
  hashes bytea NOT NULL,
  root   bytea NOT NULL,
  PRIMARY KEY (log_id, level, index)
);
