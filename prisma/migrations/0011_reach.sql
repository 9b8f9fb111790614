-- Where the entry of a delegation stands: a revocation reaches what was made before it, however often it is asked. What
-- was made before there was this column was made before any revocation to come.
ALTER TABLE delegation ADD COLUMN index bigint NOT NULL DEFAULT 0;

-- What a revocation reached is read in pages, in an order that no collation changes: octet by octet.
DROP INDEX delegation_by_root;
CREATE INDEX delegation_by_root ON delegation (root_id, id COLLATE "C");
DROP INDEX delegation_by_grantee;
CREATE INDEX delegation_by_grantee ON delegation (grantee_agent_id, root_id COLLATE "C");
DROP INDEX delegation_by_subject;
CREATE INDEX delegation_by_subject ON delegation (subject_id, root_id COLLATE "C");

-- Who owned which agent from where on: what the end of a user reached stays as it was when their agents go to others.
CREATE TABLE agent_owner (
  agent_id        text NOT NULL,
  -- Of the entry that gave it to the owner.
  index           bigint NOT NULL,
  organization_id text NOT NULL REFERENCES organization (id),
  owner_id        text NOT NULL,
  PRIMARY KEY (agent_id, index)
);
CREATE INDEX agent_owner_by_owner ON agent_owner (owner_id, agent_id COLLATE "C");
INSERT INTO agent_owner SELECT id, 0, organization_id, owner_id FROM agent;

-- This server's own API has one scope more.
UPDATE resource SET scope = array_append(scope, 'revocations')
  WHERE audience = (SELECT issuer || '/v1' FROM installation) AND NOT 'revocations' = ANY (scope);
