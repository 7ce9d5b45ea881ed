-- Version 4: a run knows the exit code with which its last invocation ended, and when one last succeeded.

-- The exit code of the process that ended the run. NULL: the run is under way, its process was killed, or an earlier
-- version wrote the row.
ALTER TABLE run ADD COLUMN exit_code INTEGER;

-- When an invocation of the run last ended with an exit code that counts as a success (success_codes); seconds. It stays
-- when a later invocation fails. NULL: none did, or an earlier version wrote the row.
ALTER TABLE run ADD COLUMN succeeded_at INTEGER;
