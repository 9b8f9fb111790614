-- What changed of all entries of an organization, and of those of one node, is asked all the time.
CREATE INDEX registration_entry_by_change ON registration_entry (organization_id, index);
CREATE INDEX registration_entry_by_change_of_parent ON registration_entry (parent_id, index);

-- What a person gave an agent for a resource, and is not over: who has been given it daily for years has one of these.
CREATE INDEX delegation_by_granted ON delegation (grantee_agent_id, subject_id, resource_id, expires_at)
  WHERE parent_id IS NULL;

-- Whose trust an assertion may fall under is asked before anything of it is verified.
CREATE INDEX trusted_issuer_by_audience ON trusted_issuer (issuer, audience, kind, organization_id);

-- The issuer of whose subject an agent was made, so that those that are not retired are counted by themselves.
ALTER TABLE agent ADD COLUMN trusted_issuer_id text REFERENCES trusted_issuer (id);
UPDATE agent SET trusted_issuer_id = m.trusted_issuer_id
  FROM subject_mapping m WHERE m.agent_id = agent.id AND m.provisioned_by IS NOT NULL;
CREATE INDEX agent_of_issuer ON agent (trusted_issuer_id)
  WHERE trusted_issuer_id IS NOT NULL AND status <> 'retired';
