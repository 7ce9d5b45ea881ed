-- Version 7: counts of images and labels are kept, so that no question about them reads every label.
--
-- A count is that of the images which the bucket has. It changes in the same transaction as what it counts: the
-- changes of a turn are one row of count_log, and many rows of count_log are added to the other two tables at once.
-- So a count is the number in label_count or image_count plus what count_log says of it.
--
-- The counts are valid if meta has a row 'counted'. Without it they are made anew when the database is next opened for
-- writing, and commands that only read count the rows themselves.

-- The number of objects in the bucket that have the content. Adding the column writes no row: most contents have one
-- object, which is wanted, and the first count corrects the others.
ALTER TABLE content ADD COLUMN present INTEGER NOT NULL DEFAULT 1;

-- How many of these objects are skipped.
ALTER TABLE content ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;

-- How many contents have a label, by its confidence.
CREATE TABLE label_count (
    id     INTEGER PRIMARY KEY,            -- 8 * tag + slot: 0 to 3 are the scenes; 4 and 5 count what scenes have in
                                           -- common: labels whose content has the same tag (4) or the same name (5, under
                                           -- its first tag) in another scene with a higher or equal confidence
    counts BLOB NOT NULL                   -- pairs of a difference of confidences and a count, seven bits a byte
);

-- Other counts. What is counted, and in what unit, is in the type Counter of costag.
CREATE TABLE image_count (
    id    INTEGER PRIMARY KEY,             -- 16 * key + kind
    count INTEGER NOT NULL
);

-- What was counted and is not in the other two tables yet. One row is one turn.
CREATE TABLE count_log (
    id      INTEGER PRIMARY KEY,
    changes BLOB NOT NULL                  -- pairs of a difference of counters and a change, seven bits a byte
);

-- The prefixes of keys whose objects are counted: the first three levels, and at most 10,000 of a bucket. An object counts
-- for its longest prefix that is here.
CREATE TABLE prefix (
    id        INTEGER PRIMARY KEY,
    bucket_id INTEGER NOT NULL REFERENCES bucket (id),
    prefix    TEXT NOT NULL,               -- '' is the whole bucket
    UNIQUE (bucket_id, prefix)
);

-- An older program may have changed rows since a newer one counted them, so everything is counted anew.
DELETE FROM meta WHERE name = 'counted';
