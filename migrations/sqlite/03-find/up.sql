-- Version 3: where labels are, coarsely, so that a search for a rare one reads thousands of labels and not all.
--
-- Written for 8192 calls at a time, long after the labels themselves: a hint and no truth. meta.posted_call is
-- the last call whose labels are in it; of the calls since then the labels are looked at one by one.
CREATE TABLE posting (
    last_call INTEGER NOT NULL,            -- of 8192 calls, a multiple of it
    tag_id    INTEGER NOT NULL REFERENCES tag (id),
    blocks    BLOB NOT NULL,               -- ascending content.id / 4 as differences, seven bits a byte, least first;
                                           -- empty: in so many of them that a search reads all labels
    PRIMARY KEY (last_call, tag_id)
) WITHOUT ROWID;
