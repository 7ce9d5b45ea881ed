-- Version 5: DuckDB can read the views. Their names, columns and rows are as before.

DROP VIEW labels;
DROP VIEW failure;
-- Every label of every object that is present: what the CSV export holds, one row a label. DuckDB reads the views too,
-- so each column has its name in the query, and conditions of CROSS JOIN are in WHERE.
CREATE VIEW labels AS
SELECT bucket.name AS bucket, object.key AS key,
       CASE label.scene WHEN 0 THEN 'album' WHEN 1 THEN 'camera' WHEN 2 THEN 'news' ELSE 'web' END AS scene,
       label.rank AS rank, tag.name AS name, tag.first_category AS first_category,
       tag.second_category AS second_category, label.confidence AS confidence,
       CASE typeof(content.etag) WHEN 'blob' THEN lower(hex(content.etag)) ELSE content.etag END AS etag,
       content.size AS size,
       strftime('%Y-%m-%dT%H:%M:%SZ', object.last_modified / 1000, 'unixepoch') AS last_modified,
       strftime('%Y-%m-%dT%H:%M:%SZ', content.tagged_at, 'unixepoch') AS tagged_at
FROM object
JOIN bucket ON bucket.id = object.bucket_id
JOIN content ON content.id = object.content_id
-- CROSS keeps the order: labels are found by their content, and a tag by its label.
CROSS JOIN label
CROSS JOIN tag
WHERE object.gone_run IS NULL
  AND label.id BETWEEN 256 * content.id AND 256 * content.id + 255
  AND content.scenes_done & (1 << label.scene)
  AND tag.id = label.tag_id;

-- Every present, wanted object whose content failed, with the last error.
CREATE VIEW failure AS
SELECT bucket.name AS bucket, object.key AS key, error.code AS code, error.status AS http_status,
       error.message AS message, error.request_id AS request_id, content.attempts AS attempts,
       content.run_id AS run_id
FROM content
JOIN object ON object.id = content.id AND object.content_id = content.id
            OR object.content_id = content.id AND object.content_id <> object.id
JOIN bucket ON bucket.id = object.bucket_id
LEFT JOIN error ON error.content_id = content.id
WHERE content.state = 3 AND object.gone_run IS NULL AND object.skip_reason IS NULL;
