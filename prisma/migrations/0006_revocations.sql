-- What took authority away, by the place of the entry that tells of it: the list that resource servers follow.
CREATE TABLE revocation (
  log_id          text NOT NULL,
  index           bigint NOT NULL,
  organization_id text NOT NULL REFERENCES organization (id),
  kind            text NOT NULL CHECK (kind IN ('delegation', 'agent', 'token')),
  node_id         text NOT NULL,
  revoked_at      timestamptz(3) NOT NULL,
  PRIMARY KEY (log_id, index)
);
CREATE INDEX revocation_by_node ON revocation (node_id);
