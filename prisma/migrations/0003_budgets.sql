-- What a delegation may still spend, by unit. A unit without a row is not limited.
CREATE TABLE budget (
  delegation_id   text NOT NULL REFERENCES delegation (id),
  organization_id text NOT NULL REFERENCES organization (id),
  unit            text NOT NULL CHECK (unit IN ('tokens', 'calls')),
  -- What was moved here from the parent, less what went back.
  allowance       bigint NOT NULL,
  -- Used here, or moved on to children.
  spent           bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (delegation_id, unit),
  CHECK (spent BETWEEN 0 AND allowance)
);
CREATE INDEX budget_unspent ON budget (delegation_id) WHERE spent < allowance;
