-- From then on an agent counts as not active; null: it does not expire.
ALTER TABLE agent ADD COLUMN expires_at timestamptz(3);
CREATE INDEX agent_to_expire ON agent (expires_at) WHERE expires_at IS NOT NULL AND status <> 'retired';

-- An agent's tenures are numbered: each transfer to another owner begins the next one. A delegation holds in the tenure
-- for which it was given or last consented to, and rests in every other.
ALTER TABLE agent ADD COLUMN tenure integer NOT NULL DEFAULT 1;
ALTER TABLE delegation ADD COLUMN grantee_tenure integer NOT NULL DEFAULT 1;

-- For what the offboarding of a user reaches.
CREATE INDEX delegation_by_subject ON delegation (subject_id);

ALTER TABLE revocation DROP CONSTRAINT revocation_kind_check;
ALTER TABLE revocation ADD CONSTRAINT revocation_kind_check CHECK (kind IN ('delegation', 'agent', 'user', 'token'));

-- Which entries tell what an agent did. Follows each log up to its checkpoint, apart from the commit.
CREATE TABLE agent_entry (
  agent_id text NOT NULL,
  log_id   text NOT NULL,
  index    bigint NOT NULL,
  PRIMARY KEY (agent_id, log_id, index)
);
CREATE TABLE agent_entry_cursor (
  log_id     text PRIMARY KEY REFERENCES log (id),
  -- The first entry that was not looked at yet.
  next_index bigint NOT NULL
);
