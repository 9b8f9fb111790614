-- For how long a foreign bundle is believed after it was last fetched.
ALTER TABLE federated_trust_domain
  ADD COLUMN trusted_for_seconds integer NOT NULL DEFAULT 86400 CHECK (trusted_for_seconds > 0);
