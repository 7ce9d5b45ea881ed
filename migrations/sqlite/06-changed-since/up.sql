-- Version 6: objects and labels know the run since which an export shows them differently, for `costag export --since-run`.
--
-- The number is that of the run whose end is the first to see the change. It is run.id of a run that was never resumed.
-- What a resumed run changes gets run.resumed_after + 1, because an export may have been made after any run up to
-- resumed_after. The number may be higher than every run.id.

-- When the key, its content or its time last changed in a way that an export shows. NULL: no export has shown the object
-- otherwise since meta.changes_since.
ALTER TABLE object ADD COLUMN changed_run INTEGER;

-- When labels were last added to the content or taken from it. NULL: not since meta.changes_since.
ALTER TABLE content ADD COLUMN labels_run INTEGER;

-- The last run whose changes may have been made before this version. What changed after it, or after any later run, is
-- known.
INSERT INTO meta (name, value) SELECT 'changes_since', coalesce(max(id), 0) FROM run;
