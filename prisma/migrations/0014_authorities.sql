-- The trust domain's authorities lie beside the other signing keys. An X.509 authority is recorded with what is to be
-- signed of its certificate; the certificate follows once that is committed.
ALTER TABLE signing_key
  DROP CONSTRAINT signing_key_purpose_check,
  DROP CONSTRAINT signing_key_status_check,
  ADD CONSTRAINT signing_key_purpose_check
    CHECK (purpose IN ('token', 'log', 'jwt_authority', 'x509_authority')),
  ADD CONSTRAINT signing_key_status_check CHECK (status IN ('next', 'active', 'tainted', 'retired', 'withdrawn')),
  ADD COLUMN to_be_signed bytea,
  -- Of the upstream authority that signs it, DER in base64, up to the root; empty for one that signs itself.
  ADD COLUMN upstream     text[] NOT NULL DEFAULT '{}',
  ADD COLUMN not_after    timestamptz(3),
  ADD COLUMN certificate  bytea,
  ADD COLUMN certified_at timestamptz(3),
  ADD CONSTRAINT signing_key_x509 CHECK (
    (purpose = 'x509_authority') = (to_be_signed IS NOT NULL AND not_after IS NOT NULL)),
  ADD CONSTRAINT signing_key_tainted CHECK (
    status NOT IN ('tainted', 'withdrawn') OR purpose IN ('jwt_authority', 'x509_authority'));
