-- Whose authority was used in a transaction, and which of it is to be kept apart from everybody else's.
ALTER TABLE delegation ADD COLUMN exclusive boolean NOT NULL DEFAULT false;
CREATE TABLE transaction_subject (
  organization_id text NOT NULL REFERENCES organization (id),
  txn             text NOT NULL,
  subject_id      text NOT NULL,
  exclusive       boolean NOT NULL,
  expires_at      timestamptz(3) NOT NULL,
  PRIMARY KEY (organization_id, txn, subject_id, exclusive)
);
CREATE INDEX transaction_subject_by_expiry ON transaction_subject (expires_at);
