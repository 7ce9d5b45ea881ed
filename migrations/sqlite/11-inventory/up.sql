-- Version 11: a line of a list can say what the key was when an inventory was made.

-- JSON: etag, size (bytes), last_modified (milliseconds) and storage_class, as a trusted inventory has them. NULL: only a
-- look-up tells what the key is.
ALTER TABLE list_item ADD COLUMN facts TEXT;
