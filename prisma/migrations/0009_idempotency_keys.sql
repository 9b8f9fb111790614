-- What a caller's idempotency key stands for. A row comes with the entry of what its request did, in one commit, and tells
-- where that entry is; the answer, sealed, is added right after.
CREATE TABLE idempotency_key (
  organization_id text NOT NULL REFERENCES organization (id),
  principal_id    text NOT NULL,
  key             text NOT NULL,
  request_hash    text NOT NULL,
  log_id          text NOT NULL,
  index           bigint NOT NULL,
  created_at      timestamptz(3) NOT NULL,
  expires_at      timestamptz(3) NOT NULL,
  status          smallint,
  sealed          bytea,
  data_key_id     text REFERENCES data_key (id),
  PRIMARY KEY (organization_id, principal_id, key),
  CHECK ((status IS NULL) = (sealed IS NULL) AND (sealed IS NULL) = (data_key_id IS NULL))
);
CREATE INDEX idempotency_key_by_expiry ON idempotency_key (expires_at);
