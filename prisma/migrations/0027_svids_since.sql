-- What an SVID buys ends when its agent is stopped, or its node evicted or joined anew, though both go on later. When one from
-- before was issued nobody knows: it buys nothing any more where either of these ever happened.
ALTER TABLE svid ADD COLUMN issued_at timestamptz(3) NOT NULL DEFAULT 'epoch';
ALTER TABLE svid ALTER COLUMN issued_at DROP DEFAULT;
-- When the node was last evicted, or joined anew. Those that are evicted now were so at the latest now.
ALTER TABLE node ADD COLUMN stopped_at timestamptz(3);
UPDATE node SET stopped_at = now() WHERE status = 'evicted';
