PRAGMA application_id = 0x636f7374; -- "cost"; a file with another id is refused untouched

-- The job database: queue, checkpoint and result in one file.
--
-- Times are UTC; a column's comment says seconds or milliseconds of the unix epoch.
-- REFERENCES document the shape and are checked by `costag verify`, not on every write: one writer,
-- whose statements insert a parent before its children, would pay for each check a million times.
-- The views `labels` and `failure` at the end are the public contract for people with a SQL shell.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,   -- 'recogniser': 'detect-label' or 'emulator', whoever answered first
    value TEXT NOT NULL
) WITHOUT ROWID;

-- A source's namespace: a bucket's keys, or the URLs called through a bucket.
CREATE TABLE bucket (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL,       -- BUCKET-APPID
    kind TEXT NOT NULL CHECK (kind IN ('keys', 'urls')),
    UNIQUE (name, kind)
);

CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    bucket_id    INTEGER NOT NULL REFERENCES bucket (id),
    source       TEXT NOT NULL CHECK (source IN ('bucket', 'keys', 'urls')),
    prefix       TEXT NOT NULL DEFAULT '', -- the scope of a listing; '' is the whole bucket
    eligibility  INTEGER NOT NULL,         -- hash of the settings that decide what is wanted
    state        TEXT NOT NULL
        CHECK (state IN ('running', 'complete', 'interrupted', 'stopped', 'superseded')),
    stop_reason  TEXT,                     -- why it stopped: budget, window, breaker, or the error
    settings     TEXT NOT NULL,            -- JSON: source, scenes, filters, region, endpoint
    journals     INTEGER NOT NULL,         -- 0: the first listing of its scope, nothing to compare with
    plan         INTEGER NOT NULL DEFAULT 0, -- 1: listed and compared only
    tool_version TEXT NOT NULL,
    started_at   INTEGER NOT NULL,         -- seconds
    listed_at    INTEGER,                  -- seconds; NULL until every range is done
    ended_at     INTEGER,                  -- seconds
    counts       TEXT NOT NULL DEFAULT '{}' -- JSON: what the summary shows
);

-- Slices of the key space, (start_after, stop_at]; those of one run tile its scope.
CREATE TABLE range (
    run_id      INTEGER NOT NULL REFERENCES run (id),
    seq         INTEGER NOT NULL,
    start_after TEXT NOT NULL,             -- '' is before every key
    stop_at     TEXT,                      -- inclusive; NULL is the end of the scope
    cursor      TEXT NOT NULL,             -- everything up to and including this key is in the store
    done        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

-- The lines of a key or URL list, kept until the run has looked at them, so that resuming needs no file.
CREATE TABLE list_item (
    run_id INTEGER NOT NULL REFERENCES run (id),
    seq    INTEGER NOT NULL,
    item   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

-- Distinct bytes: what a call is paid for.
CREATE TABLE content (
    id               INTEGER PRIMARY KEY,
    ident            INTEGER NOT NULL,     -- 64-bit hash of the identity, verified against the columns below
    identity         TEXT,                 -- NULL: (etag, size); else the key or URL that the identity includes
    etag             BLOB,                 -- 16 bytes if it is an MD5, else text without quotes; NULL: none
    size             INTEGER,              -- bytes; NULL: unknown
    scenes_wanted    INTEGER NOT NULL,     -- bits: album 1, camera 2, news 4, web 8
    scenes_done      INTEGER NOT NULL DEFAULT 0,
    scenes_redo      INTEGER NOT NULL DEFAULT 0, -- done, and asked for again on purpose
    state            INTEGER NOT NULL,     -- 0 pending, 1 in flight, 2 done, 3 failed
    pass             INTEGER NOT NULL DEFAULT 0, -- of the run: 0, 1, 2; failures wait for the next one
    attempts         INTEGER NOT NULL DEFAULT 0, -- in the run that wants it
    run_id           INTEGER REFERENCES run (id), -- the run that wants it, or settled it
    tagged_at        INTEGER,              -- seconds
    error_verdict    TEXT,
    error_temporary  INTEGER NOT NULL DEFAULT 0, -- 1: the next run puts it back, once
    error_code       TEXT,
    error_status     INTEGER,              -- HTTP
    error_message    TEXT,
    error_request_id TEXT
);
CREATE UNIQUE INDEX content_ident ON content (ident);
CREATE INDEX content_queue ON content (run_id, pass, id) WHERE state = 0;
CREATE INDEX content_in_flight ON content (id) WHERE state = 1;
CREATE INDEX content_failed ON content (error_temporary, run_id, id) WHERE state = 3;

-- One key of a bucket, or one URL.
CREATE TABLE object (
    id            INTEGER PRIMARY KEY,
    bucket_id     INTEGER NOT NULL REFERENCES bucket (id),
    key           TEXT NOT NULL,
    content_id    INTEGER REFERENCES content (id), -- NULL: never wanted
    fingerprint   INTEGER NOT NULL,        -- 64 bits of ETag, size, storage class and time
    last_modified INTEGER,                 -- milliseconds
    storage_class TEXT,                    -- NULL: STANDARD
    skip_reason   TEXT,                    -- NULL: wanted
    first_run     INTEGER NOT NULL REFERENCES run (id),
    gone_run      INTEGER REFERENCES run (id), -- NULL: present
    UNIQUE (bucket_id, key)
);
CREATE INDEX object_content ON object (content_id) WHERE content_id IS NOT NULL;

-- Names and categories as the service gave them, once each.
CREATE TABLE tag (
    id              INTEGER PRIMARY KEY,
    name            TEXT NOT NULL,
    first_category  TEXT NOT NULL,
    second_category TEXT NOT NULL,
    UNIQUE (name, first_category, second_category)
);

CREATE TABLE label (
    content_id INTEGER NOT NULL REFERENCES content (id),
    scene      INTEGER NOT NULL,           -- 0 album, 1 camera, 2 news, 3 web
    rank       INTEGER NOT NULL,           -- from 1, in the order of the answer
    tag_id     INTEGER NOT NULL REFERENCES tag (id),
    confidence INTEGER NOT NULL,           -- 0 to 100
    PRIMARY KEY (content_id, scene, rank)
) WITHOUT ROWID;

-- The ledger: append-only, one row a call that ended, written as it ends; after a crash one row
-- 'unknown' for each content that was in flight.
CREATE TABLE call (
    id          INTEGER PRIMARY KEY,
    run_id      INTEGER NOT NULL REFERENCES run (id),
    content_id  INTEGER NOT NULL REFERENCES content (id),
    object_id   INTEGER REFERENCES object (id), -- the key called; NULL: unknown
    scenes      INTEGER NOT NULL,          -- bits, as in content
    ended_at    INTEGER NOT NULL,          -- milliseconds, by the service's clock as far as it is known
    duration_ms INTEGER,
    outcome     INTEGER NOT NULL,          -- 0 answered, 1 failed, 2 throttled, 3 thrown away, 4 unknown
    http_status INTEGER,                   -- NULL: 200, or none came
    code        TEXT,
    request_id  TEXT                       -- of what failed
);
CREATE INDEX call_content ON call (content_id);

-- The journal of a run: what its listing found different from the one before.
CREATE TABLE change (
    id             INTEGER PRIMARY KEY,
    run_id         INTEGER NOT NULL REFERENCES run (id),
    kind           TEXT NOT NULL CHECK (kind IN ('added', 'changed', 'gone', 'moved')),
    object_id      INTEGER NOT NULL REFERENCES object (id),
    from_object_id INTEGER REFERENCES object (id), -- moved: the key it had
    content_id     INTEGER REFERENCES content (id) -- the content then; changed: the one before
);
CREATE INDEX change_run ON change (run_id);

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
JOIN label ON label.content_id = content.id AND content.scenes_done & (1 << label.scene)
JOIN tag ON tag.id = label.tag_id
WHERE object.gone_run IS NULL;

-- Every present, wanted object whose content failed, with the last error.
CREATE VIEW failure (bucket, key, code, http_status, message, request_id, attempts, run_id) AS
SELECT bucket.name, object.key, content.error_code, content.error_status, content.error_message,
       content.error_request_id, content.attempts, content.run_id
FROM content
JOIN object ON object.content_id = content.id
JOIN bucket ON bucket.id = object.bucket_id
WHERE content.state = 3 AND object.gone_run IS NULL AND object.skip_reason IS NULL;
