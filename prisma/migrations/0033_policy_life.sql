-- Each policy that came into force is the organization's next one: two that follow the same one can't both come.
ALTER TABLE policy_applied
  ADD COLUMN number integer,
  -- The lines as whoever applied them wrote them, comments included; of a version from before, none.
  ADD COLUMN source text,
  -- The operator; null: the installation, which applied what it was shipped with.
  ADD COLUMN applied_by text,
  -- What they signed of it, compact.
  ADD COLUMN signature text;
UPDATE policy_applied SET number = counted.number
FROM (SELECT sequence, row_number() OVER (PARTITION BY organization_id ORDER BY sequence) AS number FROM policy_applied) AS counted
WHERE counted.sequence = policy_applied.sequence;
ALTER TABLE policy_applied ALTER COLUMN number SET NOT NULL;
CREATE UNIQUE INDEX policy_applied_next ON policy_applied (organization_id, number);
DROP INDEX policy_applied_by_organization;
