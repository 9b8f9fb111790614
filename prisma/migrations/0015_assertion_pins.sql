-- Assertions that may be presented again while they live, each bound to the key that it was first presented under.
CREATE TABLE assertion_pin (
  hash       text PRIMARY KEY,
  jkt        text NOT NULL,
  expires_at timestamptz(3) NOT NULL
);
CREATE INDEX assertion_pin_by_expiry ON assertion_pin (expires_at);
