-- Version 9: the details of old runs can be removed, and the sums of their calls stay.

-- When `costag prune` removed the ranges of the run and began to remove its journal; seconds. The row itself stays with its
-- counts. Ranges stay if one of them is not done. Ledger rows of such a run are moved to call_sum. NULL: nothing was
-- removed.
ALTER TABLE run ADD COLUMN pruned_at INTEGER;

-- Sums of calls that `costag prune` has removed from the ledger. A quarter of an hour belongs to one day in every time zone.
CREATE TABLE call_sum (
    run_id   INTEGER NOT NULL REFERENCES run (id),
    quarter  INTEGER NOT NULL,             -- call.ended_at / 900000
    scenes   INTEGER NOT NULL,             -- bits, as in call
    outcome  INTEGER NOT NULL,             -- as in call
    calls    INTEGER NOT NULL,
    repeated INTEGER NOT NULL,             -- how many of them had call.repeated
    PRIMARY KEY (run_id, quarter, scenes, outcome)
) WITHOUT ROWID;
