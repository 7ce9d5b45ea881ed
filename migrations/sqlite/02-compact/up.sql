-- Version 2: the same facts in fewer bytes, with fewer writes for each image.
--
-- A label is two integers, a content does not carry its own index entry nor an error that it never had, and
-- the ledger needs no index of all its calls: a content knows the key that its labels came from.

DROP VIEW labels;
DROP VIEW failure;

-- A content by its identity: 64 bits of it, the next free number after a collision.
CREATE TABLE ident (
    hash       INTEGER PRIMARY KEY,        -- verified against the content's columns
    content_id INTEGER NOT NULL REFERENCES content (id)
) WITHOUT ROWID;

INSERT INTO ident (hash, content_id) SELECT ident, id FROM content ORDER BY ident;

-- The last error of a content: its own as long as content.error_kind says so.
CREATE TABLE error (
    content_id INTEGER PRIMARY KEY REFERENCES content (id),
    verdict    TEXT NOT NULL,
    code       TEXT NOT NULL,
    status     INTEGER,                    -- HTTP; NULL: no answer came
    message    TEXT NOT NULL,
    request_id TEXT
);

INSERT INTO error (content_id, verdict, code, status, message, request_id)
SELECT id, error_verdict, error_code, error_status, coalesce(error_message, ''), error_request_id
FROM content WHERE error_verdict IS NOT NULL AND error_code IS NOT NULL ORDER BY id;

-- Distinct bytes: what a call is paid for.
CREATE TABLE content_2 (
    id               INTEGER PRIMARY KEY,
    identity         TEXT,                 -- NULL: (etag, size); else the key or URL that the identity includes
    etag             BLOB,                 -- 16 bytes if it is an MD5, else text without quotes; NULL: none
    size             INTEGER,              -- bytes; NULL: unknown
    scenes_wanted    INTEGER NOT NULL,     -- bits: album 1, camera 2, news 4, web 8
    scenes_done      INTEGER NOT NULL DEFAULT 0,
    scenes_redo      INTEGER NOT NULL DEFAULT 0, -- done, and asked for again on purpose
    state            INTEGER NOT NULL,     -- 0 pending, 1 in flight, 2 done, 3 failed
    pass             INTEGER NOT NULL DEFAULT 0, -- of the run: 0, 1, 2; failures wait for the next one
    attempts         INTEGER NOT NULL DEFAULT 0, -- in the run that wants it
    error_kind       INTEGER NOT NULL DEFAULT 0, -- 0 none, 1 final, 2 temporary: the next run puts it back, once
    run_id           INTEGER REFERENCES run (id), -- the run that wants it, or settled it
    object_id        INTEGER REFERENCES object (id), -- the key that its labels, or its failure, came from; before: the
                                           -- first key; NULL: its scenes came from several keys
    tagged_at        INTEGER               -- seconds, of the last answer; before there is one, milliseconds of its making
);

INSERT INTO content_2
SELECT id, identity, etag, size, scenes_wanted, scenes_done, scenes_redo, state, pass, attempts,
       CASE WHEN error_code IS NULL THEN 0 ELSE 1 + error_temporary END, run_id,
       coalesce((SELECT object_id FROM call WHERE content_id = content.id AND outcome = 0
                 ORDER BY id DESC LIMIT 1),
                (SELECT min(id) FROM object WHERE content_id = content.id)),
       tagged_at
FROM content ORDER BY id;

DROP TABLE content;
ALTER TABLE content_2 RENAME TO content;
CREATE INDEX content_queue ON content (run_id, pass, id) WHERE state = 0;
CREATE INDEX content_in_flight ON content (id) WHERE state = 1;
CREATE INDEX content_failed ON content (error_kind, run_id, id) WHERE state = 3;

-- Objects by content, less those that have the number of their content: objects and contents are numbered in one
-- sequence, and a new content has the number of the object that brings it.
DROP INDEX object_content;
CREATE INDEX object_content ON object (content_id) WHERE content_id <> id;

-- One label of a content in two integers, which SQLite keeps in about eleven bytes. What they say are columns
-- too; those of a content are found by its span of ids: id BETWEEN 256 * content AND 256 * content + 255.
CREATE TABLE label_2 (
    id         INTEGER PRIMARY KEY,        -- 256 * content + 64 * scene + rank
    mark       INTEGER NOT NULL,           -- 128 * tag + confidence
    content_id INTEGER AS (id >> 8) REFERENCES content (id),
    scene      INTEGER AS ((id >> 6) & 3), -- 0 album, 1 camera, 2 news, 3 web
    rank       INTEGER AS (id & 63),       -- from 1, in the order of the answer
    tag_id     INTEGER AS (mark >> 7) REFERENCES tag (id),
    confidence INTEGER AS (mark & 127)     -- 0 to 100
);

INSERT INTO label_2 (id, mark)
SELECT 256 * content_id + 64 * scene + rank, 128 * tag_id + confidence
FROM label WHERE rank < 64 ORDER BY content_id, scene, rank;

DROP TABLE label;
ALTER TABLE label_2 RENAME TO label;

-- The ledger: append-only, one row a call that ended, written as it ends; after a crash one row
-- 'unknown' for each content that was in flight.
CREATE TABLE call_2 (
    id          INTEGER PRIMARY KEY,
    run_id      INTEGER NOT NULL REFERENCES run (id),
    content_id  INTEGER NOT NULL REFERENCES content (id),
    object_id   INTEGER REFERENCES object (id), -- the key called; NULL: unknown
    scenes      INTEGER NOT NULL,          -- bits, as in content
    ended_at    INTEGER NOT NULL,          -- milliseconds, by the service's clock as far as it is known
    duration_ms INTEGER,
    outcome     INTEGER NOT NULL,          -- 0 answered, 1 failed, 2 throttled, 3 thrown away, 4 unknown
    repeated    INTEGER NOT NULL DEFAULT 0 -- 1: an earlier call of the run for the same content had failed
);

-- What came back of a call that was not answered.
CREATE TABLE call_error (
    call_id     INTEGER PRIMARY KEY REFERENCES call (id),
    http_status INTEGER,                   -- NULL: none came, or 200
    code        TEXT,
    request_id  TEXT
);

INSERT INTO call_2
SELECT id, run_id, content_id, object_id, scenes, ended_at, duration_ms, outcome,
       EXISTS (SELECT 1 FROM call AS earlier
               WHERE earlier.content_id = call.content_id AND earlier.id < call.id
                 AND earlier.run_id = call.run_id AND earlier.outcome IN (1, 2, 3))
FROM call ORDER BY id;

INSERT INTO call_error
SELECT id, http_status, code, request_id FROM call
WHERE coalesce(http_status, code, request_id) IS NOT NULL ORDER BY id;

DROP TABLE call;
ALTER TABLE call_2 RENAME TO call;
CREATE INDEX call_throttled ON call (content_id) WHERE outcome = 2;

-- Where labels are, coarsely, so that a search for a rare one reads thousands of labels and not all. Written for
-- 8192 calls at a time, long after the labels themselves: a hint and no truth. meta.posted_call is the last call
-- whose labels are in it; of the calls since then the labels are looked at one by one.
CREATE TABLE posting (
    last_call INTEGER NOT NULL,            -- of 8192 calls, a multiple of it
    tag_id    INTEGER NOT NULL REFERENCES tag (id),
    blocks    BLOB NOT NULL,               -- ascending content.id / 4 as differences, seven bits a byte, least first;
                                           -- empty: in so many of them that a search reads all labels
    PRIMARY KEY (last_call, tag_id)
) WITHOUT ROWID;

-- Every label of every object that is present: what the CSV export holds, one row a label.
CREATE VIEW labels (bucket, key, scene, rank, name, first_category, second_category,
                    confidence, etag, size, last_modified, tagged_at) AS
SELECT bucket.name, object.key,
       CASE label.scene WHEN 0 THEN 'album' WHEN 1 THEN 'camera' WHEN 2 THEN 'news' ELSE 'web' END,
       label.rank, tag.name, tag.first_category, tag.second_category, label.confidence,
       CASE typeof(content.etag) WHEN 'blob' THEN lower(hex(content.etag)) ELSE content.etag END,
       content.size,
       strftime('%Y-%m-%dT%H:%M:%SZ', object.last_modified / 1000, 'unixepoch'),
       strftime('%Y-%m-%dT%H:%M:%SZ', content.tagged_at, 'unixepoch')
FROM object
JOIN bucket ON bucket.id = object.bucket_id
JOIN content ON content.id = object.content_id
-- CROSS keeps the order: labels are found by their content, and a tag by its label.
CROSS JOIN label ON label.id BETWEEN 256 * content.id AND 256 * content.id + 255
                AND content.scenes_done & (1 << label.scene)
CROSS JOIN tag ON tag.id = label.tag_id
WHERE object.gone_run IS NULL;

-- Every present, wanted object whose content failed, with the last error.
CREATE VIEW failure (bucket, key, code, http_status, message, request_id, attempts, run_id) AS
SELECT bucket.name, object.key, error.code, error.status, error.message, error.request_id,
       content.attempts, content.run_id
FROM content
JOIN object ON object.id = content.id AND object.content_id = content.id
            OR object.content_id = content.id AND object.content_id <> object.id
JOIN bucket ON bucket.id = object.bucket_id
LEFT JOIN error ON error.content_id = content.id
WHERE content.state = 3 AND object.gone_run IS NULL AND object.skip_reason IS NULL;
