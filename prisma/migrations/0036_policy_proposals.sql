ALTER TABLE policy_applied
  -- Whether what follows it needs two operators.
  ADD COLUMN two_person boolean NOT NULL DEFAULT false,
  -- The second operator, and what they signed; null where one sufficed.
  ADD COLUMN approved_by text,
  ADD COLUMN approval text;

-- What waits for a second operator.
CREATE TABLE policy_proposal (
  id              text PRIMARY KEY,
  organization_id text NOT NULL REFERENCES organization (id),
  -- The version that it would be.
  number          integer NOT NULL,
  hash            text NOT NULL,
  previous        text NOT NULL,
  source          text NOT NULL,
  proposed_by     text NOT NULL REFERENCES operator (id),
  signature       text NOT NULL,
  proposed_at     timestamptz(3) NOT NULL,
  status          text NOT NULL CHECK (status IN ('open', 'approved', 'withdrawn'))
);
CREATE INDEX policy_proposal_by_organization ON policy_proposal (organization_id, id);
-- Each operator has one at a time: nobody fills the table with them.
CREATE UNIQUE INDEX policy_proposal_once ON policy_proposal (organization_id, number, proposed_by) WHERE status = 'open';
