-- Version 3: what was asked for on purpose stands until it is fulfilled.
--
-- Only columns, small tables and partial indexes are added: a database of ten million objects is brought up to date
-- in a moment. From this version on content.scenes_redo holds wishes: scenes that `costag retag` asked for again. A
-- wish is kept while nobody wants the content (state 2) and after it failed (state 3); only an answer for the scene
-- takes it away.

-- When the call ended that failed; milliseconds, as call.ended_at. NULL: an earlier version wrote the row.
ALTER TABLE error ADD COLUMN failed_at INTEGER;

-- The highest run.id at the moment when this run was last resumed: runs up to that one may have come before the rest
-- of this one. NULL: it was never resumed.
ALTER TABLE run ADD COLUMN resumed_after INTEGER;

-- run.plan is 2 for a plan that left nothing in the database but its own row; 1 is a plan of an earlier version, which
-- wrote objects and contents.
