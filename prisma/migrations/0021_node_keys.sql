-- SHA-256 of the SubjectPublicKeyInfo that the SVID is of, in base64url. One from before has none, and is not renewed.
ALTER TABLE node_svid ADD COLUMN public_key_hash text NOT NULL DEFAULT '';
