-- Version 8: `ident` may lack the newest contents of a first listing.
--
-- meta.ident_upto is a content.id while contents behind it may be missing in `ident`: a listing that meets many new
-- contents inserts them later, in the order of their hashes. No row of that name: `ident` has every content. A program
-- that does not know the row would take such a content for a new one, so it must not write this database.
SELECT 8;
