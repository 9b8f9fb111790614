-- An audience names the organization, so that coming first with somebody else's tenant gains nothing. Trust from before keeps its
-- audience until it ends.
DROP INDEX trusted_issuer_by_tenant;
CREATE UNIQUE INDEX trusted_workload_issuer ON trusted_issuer (issuer, audience, tenant_claim, tenant_value)
  NULLS NOT DISTINCT WHERE status = 'active' AND kind = 'workload';
-- Whose an identity assertion is, the client says that it was made for.
CREATE UNIQUE INDEX trusted_identity_issuer ON trusted_issuer (organization_id, issuer, tenant_claim, tenant_value)
  NULLS NOT DISTINCT WHERE status = 'active' AND kind = 'id_jag';

ALTER TABLE trusted_issuer
  -- How many agents that are not retired may have been made of its subjects.
  ADD COLUMN max_agents integer NOT NULL DEFAULT 1000 CHECK (max_agents BETWEEN 0 AND 1000000),
  -- Which claims say what an agent is made of: one that is its checksum; or its model, and the hashes of its prompt and tools.
  ADD COLUMN checksum_claims text[] NOT NULL DEFAULT '{}' CHECK (cardinality(checksum_claims) IN (0, 1, 3));

-- The person that a subject of an identity provider is.
ALTER TABLE subject_mapping
  ADD COLUMN user_id text REFERENCES "user" (id),
  DROP CONSTRAINT subject_mapping_check,
  ADD CONSTRAINT subject_mapping_to_one CHECK (num_nulls(agent_id, owner_id, user_id) = 2),
  ADD CONSTRAINT subject_mapping_of_person CHECK (user_id IS NULL OR (subject IS NOT NULL AND cardinality(claims) = 0));
