"""What was done and by whom: entries in a chain of hashes, in the database of the role that does it."""
