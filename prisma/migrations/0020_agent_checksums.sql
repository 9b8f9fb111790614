-- Which configurations an agent may have. An agent that never had one here may have any.
CREATE TABLE agent_checksum (
  -- `<agent>.<checksum>`
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  agent_id        text NOT NULL REFERENCES agent (id),
  -- SHA-256 of the configuration, in hex.
  checksum        text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
  status          text NOT NULL CHECK (status IN ('approved', 'withdrawn')),
  approved_at     timestamptz(3) NOT NULL,
  UNIQUE (agent_id, checksum)
);
