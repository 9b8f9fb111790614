-- What an SVID buys ends when its agent is stopped, or its node evicted or joined anew, though both go on later. When one from
-- before was issued nobody knows: it buys nothing any more where either of these ever happened.
ALTER TABLE svid ADD COLUMN issued_at timestamptz(3) NOT NULL DEFAULT 'epoch';
ALTER TABLE svid ALTER COLUMN issued_at DROP DEFAULT;
-- When the node was last evicted, or joined anew. Those that are evicted now were so at the latest now.
ALTER TABLE node ADD COLUMN stopped_at timestamptz(3);
UPDATE node SET stopped_at = now() WHERE status = 'evicted';

-- A subject that an agent was made of stays under the rule that says so: what claims the rule demands, all its assertions need.
DROP INDEX subject_mapping_by_subject;
UPDATE subject_mapping m SET claims = r.claims FROM subject_mapping r WHERE r.id = m.provisioned_by;
-- Of each rule one: those of a rule that ended are in nobody's way.
CREATE UNIQUE INDEX subject_mapping_by_subject ON subject_mapping (trusted_issuer_id, subject, claims, provisioned_by)
  NULLS NOT DISTINCT WHERE status = 'active';
CREATE INDEX subject_mapping_by_rule ON subject_mapping (provisioned_by) WHERE provisioned_by IS NOT NULL;
