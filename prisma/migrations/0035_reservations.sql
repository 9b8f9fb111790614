-- Money, by currency, and rows are limited too.
ALTER TABLE budget DROP CONSTRAINT budget_unit_check;
ALTER TABLE budget ADD CONSTRAINT budget_unit_check
  CHECK (unit IN ('tokens', 'calls', 'rows') OR unit ~ '^spend:[A-Z]{3}$');

-- What an action may use at most, taken from its delegation's budget until somebody tells what it did use.
CREATE TABLE reservation (
  action_id       text NOT NULL REFERENCES action (id),
  unit            text NOT NULL,
  organization_id text NOT NULL REFERENCES organization (id),
  delegation_id   text NOT NULL,
  -- What was asked for.
  reserved        bigint NOT NULL CHECK (reserved >= 0),
  -- What the budget counts as spent for it now.
  counted         bigint NOT NULL CHECK (counted >= 0),
  status          text NOT NULL CHECK (status IN ('reserved', 'released', 'used')),
  reserved_at     timestamptz(3) NOT NULL,
  PRIMARY KEY (action_id, unit),
  FOREIGN KEY (delegation_id, unit) REFERENCES budget (delegation_id, unit)
);
CREATE INDEX reservation_unreported ON reservation (reserved_at) WHERE status = 'reserved';

-- Each use of what a policy line lets a subject do no oftener than it says.
CREATE TABLE rate_use (
  -- The line and the subject.
  id              text NOT NULL,
  organization_id text NOT NULL REFERENCES organization (id),
  action_id       text NOT NULL REFERENCES action (id),
  used_at         timestamptz(3) NOT NULL,
  PRIMARY KEY (organization_id, id, used_at, action_id)
);
CREATE INDEX rate_use_by_age ON rate_use (used_at);
