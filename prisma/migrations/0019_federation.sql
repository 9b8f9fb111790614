-- The foreign trust domains whose SVIDs workloads may verify. They belong to the installation, not to an organization.
CREATE TABLE federated_trust_domain (
  id                 text PRIMARY KEY,
  trust_domain       text NOT NULL,
  endpoint_url       text NOT NULL,
  profile            text NOT NULL CHECK (profile IN ('https_web', 'https_spiffe')),
  endpoint_spiffe_id text,
  -- PEM: who signs the endpoint's certificate; null for those that everybody trusts.
  ca                 text,
  -- Whether the endpoint may be at an address that is not public.
  private_allowed    boolean NOT NULL,
  status             text NOT NULL CHECK (status IN ('active', 'deleted')),
  created_at         timestamptz(3) NOT NULL,
  -- How fetching goes: no part of what is recorded.
  fetched_at         timestamptz(3),
  failed_at          timestamptz(3),
  failure            text,
  failures           integer NOT NULL DEFAULT 0,
  due_at             timestamptz(3) NOT NULL,
  CHECK ((profile = 'https_spiffe') = (endpoint_spiffe_id IS NOT NULL)),
  CHECK (profile = 'https_web' OR ca IS NULL)
);
CREATE UNIQUE INDEX federated_trust_domain_once ON federated_trust_domain (trust_domain) WHERE status = 'active';

-- What was fetched of each, or given when it was added: the row of the highest revision holds.
CREATE TABLE federated_bundle (
  federation_id text NOT NULL REFERENCES federated_trust_domain (id),
  revision      integer NOT NULL,
  -- Canonical JSON.
  bundle        text NOT NULL,
  sequence      bigint,
  PRIMARY KEY (federation_id, revision)
);
