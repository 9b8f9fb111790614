-- As which machine a node joined last, where evidence alone finds it by what it was first. Of those that joined anew before, the
-- log knows.
ALTER TABLE node ADD COLUMN last_attestation text, ADD COLUMN last_subject text;
