-- How a client authenticates and asks, as an operator set it: by principal, the row of the latest entry holds.
CREATE TABLE client_profile (
  log_id              text NOT NULL,
  index               bigint NOT NULL,
  organization_id     text NOT NULL REFERENCES organization (id),
  principal_id        text NOT NULL,
  redirect_uris       text[] NOT NULL,
  auth_method         text NOT NULL
    CHECK (auth_method IN ('private_key_jwt', 'self_signed_tls_client_auth', 'client_secret_basic')),
  dpop_nonce_required boolean NOT NULL,
  compat              boolean NOT NULL,
  -- Salt and hash: the secret itself is nowhere.
  secret_verifier     text,
  created_at          timestamptz(3) NOT NULL,
  PRIMARY KEY (log_id, index),
  CHECK (compat OR auth_method <> 'client_secret_basic'),
  CHECK ((secret_verifier IS NULL) = (auth_method <> 'client_secret_basic'))
);
CREATE INDEX client_profile_by_principal ON client_profile (principal_id, index DESC);

-- Authorization requests that clients pushed, each for one use within a minute (RFC 9126).
CREATE TABLE pushed_request (
  -- SHA-256 of the reference: who reads the table can't use it.
  id         text PRIMARY KEY,
  client_id  text NOT NULL,
  payload    text NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  used_at    timestamptz(3)
);
CREATE INDEX pushed_request_by_expiry ON pushed_request (expires_at);
