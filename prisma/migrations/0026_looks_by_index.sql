-- What changed of all entries of an organization, and of those of one node, is asked all the time.
CREATE INDEX registration_entry_by_change ON registration_entry (organization_id, index);
CREATE INDEX registration_entry_by_change_of_parent ON registration_entry (parent_id, index);
