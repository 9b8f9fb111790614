-- Of a node's SVIDs one is in use; the next is, from its first use on. Whatever another followed in use is spent.
ALTER TABLE node_svid RENAME COLUMN serial TO id;
ALTER TABLE node_svid ADD COLUMN status text NOT NULL DEFAULT 'spent' CHECK (status IN ('unused', 'used', 'spent'));
UPDATE node_svid SET status = 'used'
  WHERE index = (SELECT max(latest.index) FROM node_svid latest WHERE latest.node_id = node_svid.node_id);
ALTER TABLE node_svid ALTER COLUMN status DROP DEFAULT;
-- The serial that was the node's last when this one was issued: of two that are issued at once, one is.
ALTER TABLE node_svid ADD COLUMN follows text;
CREATE UNIQUE INDEX node_svid_follows ON node_svid (node_id, follows);
-- A key that was certified once is not certified again: a copy of it would be good again.
CREATE UNIQUE INDEX node_svid_key ON node_svid (node_id, public_key_hash) WHERE public_key_hash <> '';

-- When an SVID that was spent was last shown: somebody has a copy, or had one.
ALTER TABLE node ADD COLUMN spent_shown_at timestamptz(3);
CREATE INDEX node_by_subject ON node (attestation, subject);

-- The node that a machine is again which joins with it; null: it becomes another one.
ALTER TABLE join_token ADD COLUMN node_id text REFERENCES node (id);
