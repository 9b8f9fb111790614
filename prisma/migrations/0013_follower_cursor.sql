-- How far each follower has come in each log.
CREATE TABLE follower_cursor (
  follower   text NOT NULL,
  log_id     text NOT NULL REFERENCES log (id),
  -- The first entry that it has not handled yet.
  next_index bigint NOT NULL,
  PRIMARY KEY (follower, log_id)
);
INSERT INTO follower_cursor SELECT 'agent-history', log_id, next_index FROM agent_entry_cursor;
DROP TABLE agent_entry_cursor;
