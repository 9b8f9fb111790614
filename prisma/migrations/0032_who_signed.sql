-- Id of the authority that signed it; null for one from before this was kept. Once that is withdrawn nobody takes the SVID.
ALTER TABLE node_svid ADD COLUMN authority text;
