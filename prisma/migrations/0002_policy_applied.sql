-- Which policy came into force when: an organization's last row is the one it decides by.
CREATE TABLE policy_applied (
  sequence        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  hash            text NOT NULL REFERENCES policy_version (hash),
  applied_at      timestamptz(3) NOT NULL
);
CREATE INDEX policy_applied_by_organization ON policy_applied (organization_id, sequence);
