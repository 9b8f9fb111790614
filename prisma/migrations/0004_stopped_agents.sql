-- When an agent was last suspended or retired: what was issued to it until then stays dead when it is resumed.
ALTER TABLE agent ADD COLUMN stopped_at timestamptz(3);
