-- When a checksum that is withdrawn was. Of those that were before nobody knows.
ALTER TABLE agent_checksum ADD COLUMN withdrawn_at timestamptz(3);
