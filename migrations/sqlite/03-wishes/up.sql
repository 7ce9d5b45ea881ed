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

-- The lines of a list, each once: a line that repeats an earlier one is counted and not kept. `fault` says why no request
-- can carry the line; NULL: it is a key or URL. Lines are kept until the run that read them has ended.
CREATE TABLE list_item_3 (
    run_id INTEGER NOT NULL REFERENCES run (id),
    seq    INTEGER NOT NULL,               -- number of the line among those that were read, from 1
    item   TEXT NOT NULL,                  -- the key or URL; of a faulty line its beginning, as it can be shown
    fault  TEXT,
    PRIMARY KEY (run_id, seq),
    UNIQUE (run_id, item)
) WITHOUT ROWID;
INSERT OR IGNORE INTO list_item_3 (run_id, seq, item) SELECT run_id, seq, item FROM list_item ORDER BY run_id, seq;
DROP TABLE list_item;
ALTER TABLE list_item_3 RENAME TO list_item;

-- Keys of a list that were looked up in a run, with the content that was found: only they are called for it.
CREATE TABLE looked_up (
    run_id     INTEGER NOT NULL REFERENCES run (id),
    content_id INTEGER NOT NULL REFERENCES content (id),
    object_id  INTEGER NOT NULL REFERENCES object (id),
    PRIMARY KEY (run_id, content_id, object_id)
) WITHOUT ROWID;

-- Lines of lists that ended without a call: keys that are not in the bucket (verdict 'gone'), keys that could not be
-- looked up and lines that no request can carry (verdict 'failed'). A key that is found later leaves the table.
CREATE TABLE line_failure (
    bucket_id  INTEGER NOT NULL REFERENCES bucket (id),
    item       TEXT NOT NULL,              -- as in list_item
    run_id     INTEGER NOT NULL REFERENCES run (id),
    line       INTEGER NOT NULL,           -- list_item.seq
    verdict    TEXT NOT NULL CHECK (verdict IN ('gone', 'failed')),
    code       TEXT NOT NULL,
    status     INTEGER,                    -- HTTP; NULL: no answer came
    message    TEXT NOT NULL,
    request_id TEXT,
    failed_at  INTEGER NOT NULL,           -- seconds
    PRIMARY KEY (bucket_id, item)
) WITHOUT ROWID;

-- What was read of the run's list: a hash of its lines up to the last one that is in list_item. NULL: not a list, or an
-- earlier version read it.
ALTER TABLE run ADD COLUMN list_hash INTEGER;
