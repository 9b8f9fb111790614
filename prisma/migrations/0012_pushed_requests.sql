-- A pushed request belongs to its client's organization. Those that wait now are good for a minute at most: their clients push again.
DELETE FROM pushed_request;
ALTER TABLE pushed_request ADD COLUMN organization_id text NOT NULL REFERENCES organization (id);
