-- Delegations that came of redeeming an access token (RFC 8693), and the sessions that delegations are bound to.
ALTER TABLE delegation
  -- The `jti` of the token; null where the parent's grantee passed the delegation on.
  ADD COLUMN redeemed_jti text,
  ADD COLUMN session text,
  ADD CHECK (redeemed_jti IS NULL OR parent_id IS NOT NULL);
-- Of concurrent redemptions of one token by one agent for one resource, one makes the delegation.
CREATE UNIQUE INDEX delegation_redeemed
  ON delegation (organization_id, redeemed_jti, grantee_agent_id, resource_id) WHERE redeemed_jti IS NOT NULL;

-- The session whose delegation was the first to be used in a transaction: no other one's can be used in it any more.
CREATE TABLE transaction_session (
  organization_id text NOT NULL REFERENCES organization (id),
  txn             text NOT NULL,
  session         text NOT NULL,
  expires_at      timestamptz(3) NOT NULL,
  PRIMARY KEY (organization_id, txn)
);
CREATE INDEX transaction_session_by_expiry ON transaction_session (expires_at);
