-- Every SVID of an agent until it ends, and what it rests on: what it buys at the token endpoint rests on that too. A row is
-- written with each SVID in the commit that reads agent and entry again, so that no reference has to be looked up once more.
CREATE TABLE svid (
  -- Of an X.509-SVID its serial number in hex, of a JWT-SVID its jti.
  id              text PRIMARY KEY,
  organization_id text NOT NULL,
  agent_id        text NOT NULL,
  entry_id        text NOT NULL,
  -- Who attested: null is the server itself.
  node_id         text,
  -- Of the configuration that was measured.
  checksum        text,
  -- As its entry in the log has it.
  claims_hash     text NOT NULL,
  expires_at      timestamptz(3) NOT NULL
);
CREATE INDEX svid_by_expiry ON svid (expires_at);
