-- What agents were let do, each once, by the place of the entry that grants it. Arguments are here by their hash only.
CREATE TABLE action (
  id              text PRIMARY KEY,
  log_id          text NOT NULL,
  index           bigint NOT NULL,
  organization_id text NOT NULL REFERENCES organization (id),
  agent_id        text NOT NULL REFERENCES agent (id),
  -- Who owned the agent then, and whose authority it was: what is reported later is booked on them.
  owner_id        text NOT NULL REFERENCES "user" (id),
  subject_id      text REFERENCES "user" (id),
  -- Null, as is the subject, where the agent acts in its own right.
  delegation_id   text REFERENCES delegation (id),
  jti             text NOT NULL,
  txn             text NOT NULL,
  resource        text NOT NULL,
  scope           text[] NOT NULL,
  action          text NOT NULL,
  tool_server     text,
  tool            text,
  arguments_hash  text,
  decided_at      timestamptz(3) NOT NULL,
  CHECK (num_nulls(tool_server, tool, arguments_hash) IN (0, 3)),
  CHECK (num_nulls(delegation_id, subject_id) IN (0, 2))
);
CREATE INDEX action_by_organization ON action (organization_id, id);
CREATE INDEX action_by_agent ON action (agent_id, id);
CREATE INDEX action_by_delegation ON action (delegation_id, id);
CREATE INDEX action_by_token ON action (jti);

-- What agents and Resources say was done. The signed text is kept: it proves who said it.
CREATE TABLE action_report (
  log_id          text NOT NULL,
  index           bigint NOT NULL,
  organization_id text NOT NULL REFERENCES organization (id),
  -- An agent claims, a Resource witnesses.
  reporter_kind   text NOT NULL CHECK (reporter_kind IN ('agent', 'resource')),
  reporter_id     text NOT NULL,
  jti             text NOT NULL,
  claims_hash     text NOT NULL,
  agent_id        text NOT NULL REFERENCES agent (id),
  delegation_id   text REFERENCES delegation (id),
  -- Null where it accounts for no action that was granted.
  action_id       text REFERENCES action (id),
  standing        text NOT NULL CHECK (standing IN ('as_granted', 'out_of_scope', 'unauthorized')),
  outcome         text NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'unknown')),
  jws             text NOT NULL,
  reported_at     timestamptz(3) NOT NULL,
  PRIMARY KEY (log_id, index),
  CONSTRAINT action_report_once UNIQUE (reporter_id, jti),
  CONSTRAINT action_report_one_account UNIQUE (action_id, reporter_kind)
);
CREATE INDEX action_report_by_agent ON action_report (agent_id, index);
CREATE INDEX action_report_by_delegation ON action_report (delegation_id, index);

-- The issuer's own API has a new scope: what agents and Resources report under.
UPDATE resource SET scope = array_append(scope, 'report')
WHERE audience = (SELECT issuer || '/v1' FROM installation) AND NOT 'report' = ANY (scope);
