-- Views over published runs, for DuckDB 2.
-- OUT stands for the output folder; this puts it in:
--   imgcls sql --dialect duckdb --output DIR
-- gs:// and s3:// take DuckDB's httpfs: INSTALL httpfs; LOAD httpfs; CREATE SECRET …

-- One row per run: the records, which are written last. Names of several models stand side by side;
-- records of before November 2026 have one model, and no list of them.
CREATE OR REPLACE VIEW prediction_runs AS
SELECT
  run_id, run_date, attempt, state,
  array_to_string([m.id FOR m IN coalesce(models, [model])], ', ') AS model_id,
  array_to_string([m.revision FOR m IN coalesce(models, [model])], ', ') AS model_revision,
  array_to_string([m.key FOR m IN coalesce(models, [model])], ', ') AS model_key,
  array_to_string([m.weights FOR m IN coalesce(models, [model])], ', ') AS model_weights,
  parameters, counts.listed AS listed, counts.ok AS ok, counts.error AS error,
  counts.skipped AS skipped, error_ratio, duration_s, images_per_s, started_at, finished_at,
  first_at, last_at, bytes_read, preprocess_ms, inference_ms,
  CAST(configuration AS VARCHAR) AS configuration, configuration_sha256,
  CAST(library_versions AS VARCHAR) AS library_versions, labels, errors, score_histogram, files,
  publications, duplicates, shared
FROM read_json('OUT/runs/*.json', hive_partitioning = false, columns = {
    model: 'STRUCT(id VARCHAR, revision VARCHAR, key VARCHAR, weights VARCHAR)',
    models: 'STRUCT(id VARCHAR, revision VARCHAR, key VARCHAR, weights VARCHAR)[]',
    counts: 'STRUCT(listed BIGINT, ok BIGINT, error BIGINT, skipped BIGINT)',
    run_id: 'VARCHAR',
    run_date: 'DATE',
    attempt: 'VARCHAR',
    state: 'VARCHAR',
    parameters: 'STRUCT("top_k" BIGINT, "function_to_apply" VARCHAR)',
    error_ratio: 'DOUBLE',
    duration_s: 'DOUBLE',
    images_per_s: 'DOUBLE',
    started_at: 'TIMESTAMPTZ',
    finished_at: 'TIMESTAMPTZ',
    first_at: 'TIMESTAMPTZ',
    last_at: 'TIMESTAMPTZ',
    bytes_read: 'BIGINT',
    preprocess_ms: 'DOUBLE',
    inference_ms: 'DOUBLE',
    configuration: 'JSON',
    configuration_sha256: 'VARCHAR',
    library_versions: 'JSON',
    labels: 'STRUCT("label" VARCHAR, "count" BIGINT)[]',
    errors: 'STRUCT("stage" VARCHAR, "code" VARCHAR, "count" BIGINT)[]',
    score_histogram: 'STRUCT("below" BIGINT, "bins" BIGINT[], "above" BIGINT)',
    files: 'STRUCT("path" VARCHAR, "rows" BIGINT, "size_bytes" BIGINT, "sha256" VARCHAR)[]',
    publications: 'STRUCT("attempt" VARCHAR, "how" VARCHAR, "started_at" TIMESTAMPTZ, "finished_at" TIMESTAMPTZ, "rows" BIGINT, "skipped" BIGINT)[]',
    duplicates: 'BIGINT',
    shared: 'BIGINT'});

-- One row per reference and run; only files that a committed record names. Keys are taken from the
-- end of the path: a folder above the output may look like a key too. Files of before December 2026
-- lack the last columns.
CREATE OR REPLACE VIEW predictions AS
SELECT
  p.image_uri, p.image_version, p.image_sha256, p.image_bytes, p.image_width, p.image_height,
  p.image_format, p.image_updated_at, p.status, p.predictions, p.top_label, p.top_score,
  p.top_margin, p.error, p.params, p.model_id, p.model_revision, p.model_key, p.predicted_at,
  p.device, p.dtype, p.batch_size, p.preprocess_ms, p.inference_ms, p.library_versions,
  p.request_id, p.attributes, p.shared_with, p.duplicates, p.run_id, p.run_date
FROM (
  SELECT *,
    CAST(regexp_extract(filename, 'run_date=([^/]+)/model=[^/]+/run_id=([^/]+)/[^/]+$', 1) AS DATE) AS run_date,
    regexp_extract(filename, 'run_date=([^/]+)/model=[^/]+/run_id=([^/]+)/[^/]+$', 2) AS run_id
  FROM (
    SELECT *
    FROM read_parquet('OUT/predictions/**/*.parquet', hive_partitioning = false, union_by_name = true, filename = true)
    UNION ALL BY NAME
    SELECT CAST(NULL AS VARCHAR) AS shared_with, CAST(NULL AS INTEGER) AS duplicates WHERE false)) AS p
WHERE 'predictions/' || regexp_extract(p.filename, 'run_date=([^/]+)/model=[^/]+/run_id=([^/]+)/[^/]+$') IN (
  SELECT file.path
  FROM (SELECT unnest(files) AS file FROM prediction_runs WHERE state = 'DONE'));

-- Each image and model as the latest finished run has it: a row for each reference to it, with what
-- is carried now (attributes, request_id), and its scores. Where the run skipped the image, these are
-- of the latest good row of the same version of it and the same parameters, and where it failed, of
-- the latest good row, whatever its version is: predicted_run_id says of which run they are.
-- Images without such scores are not here.
CREATE OR REPLACE VIEW predictions_latest AS
SELECT
  p.image_uri,
  CASE WHEN p.status = 'ok' THEN p.image_version ELSE good.image_version END AS image_version,
  CASE WHEN p.status = 'ok' THEN p.image_sha256 ELSE good.image_sha256 END AS image_sha256,
  CASE WHEN p.status = 'ok' THEN p.image_bytes ELSE good.image_bytes END AS image_bytes,
  CASE WHEN p.status = 'ok' THEN p.image_width ELSE good.image_width END AS image_width,
  CASE WHEN p.status = 'ok' THEN p.image_height ELSE good.image_height END AS image_height,
  CASE WHEN p.status = 'ok' THEN p.image_format ELSE good.image_format END AS image_format,
  CASE WHEN p.status = 'ok' THEN p.image_updated_at ELSE good.image_updated_at END AS image_updated_at,
  CASE WHEN p.status = 'ok' THEN p.status ELSE good.status END AS status,
  CASE WHEN p.status = 'ok' THEN p.predictions ELSE good.predictions END AS predictions,
  CASE WHEN p.status = 'ok' THEN p.top_label ELSE good.top_label END AS top_label,
  CASE WHEN p.status = 'ok' THEN p.top_score ELSE good.top_score END AS top_score,
  CASE WHEN p.status = 'ok' THEN p.top_margin ELSE good.top_margin END AS top_margin,
  CASE WHEN p.status = 'ok' THEN p.error ELSE good.error END AS error,
  CASE WHEN p.status = 'ok' THEN p.params ELSE good.params END AS params,
  p.model_id,
  p.model_revision,
  p.model_key,
  CASE WHEN p.status = 'ok' THEN p.predicted_at ELSE good.predicted_at END AS predicted_at,
  CASE WHEN p.status = 'ok' THEN p.device ELSE good.device END AS device,
  CASE WHEN p.status = 'ok' THEN p.dtype ELSE good.dtype END AS dtype,
  CASE WHEN p.status = 'ok' THEN p.batch_size ELSE good.batch_size END AS batch_size,
  CASE WHEN p.status = 'ok' THEN p.preprocess_ms ELSE good.preprocess_ms END AS preprocess_ms,
  CASE WHEN p.status = 'ok' THEN p.inference_ms ELSE good.inference_ms END AS inference_ms,
  CASE WHEN p.status = 'ok' THEN p.library_versions ELSE good.library_versions END AS library_versions,
  p.request_id,
  p.attributes,
  CASE WHEN p.status = 'ok' THEN p.shared_with ELSE good.shared_with END AS shared_with,
  p.duplicates,
  p.run_id,
  p.run_date,
  CASE WHEN p.status = 'ok' THEN p.run_id ELSE good.run_id END AS predicted_run_id
FROM (
  SELECT p.*
  FROM (
    SELECT p.*, r.preprocess,
      CASE WHEN p.params.function_source = 'job' THEN p.params.function_to_apply END AS asked
    FROM predictions AS p
    JOIN (
      SELECT r.run_id, MAX(COALESCE(json_extract_string(r.configuration, '$.decode.preprocess'), 'exact')) AS preprocess
      FROM prediction_runs AS r
      WHERE r.state = 'DONE'
      GROUP BY r.run_id) AS r
      ON r.run_id = p.run_id) AS p
  WHERE TRUE
  QUALIFY p.run_id = FIRST_VALUE(p.run_id) OVER (
    PARTITION BY p.image_uri, p.model_key
    ORDER BY p.predicted_at DESC, p.run_id DESC)) AS p
JOIN (
  SELECT p.*, ROW_NUMBER() OVER (PARTITION BY p.image_uri, p.model_key ORDER BY p.predicted_at DESC, p.run_id DESC) AS place
  FROM (
    SELECT p.*
    FROM (
    SELECT p.*, r.preprocess,
      CASE WHEN p.params.function_source = 'job' THEN p.params.function_to_apply END AS asked
    FROM predictions AS p
    JOIN (
      SELECT r.run_id, MAX(COALESCE(json_extract_string(r.configuration, '$.decode.preprocess'), 'exact')) AS preprocess
      FROM prediction_runs AS r
      WHERE r.state = 'DONE'
      GROUP BY r.run_id) AS r
      ON r.run_id = p.run_id) AS p
    WHERE p.status = 'ok'
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY p.image_uri, p.model_key, p.image_version, p.params.top_k, p.asked, p.preprocess
      ORDER BY p.predicted_at DESC, p.run_id DESC) = 1) AS p) AS good
  ON good.image_uri = p.image_uri AND good.model_key = p.model_key
  AND CASE
    WHEN p.status <> 'skipped' THEN good.place = 1
    ELSE good.image_version IS NOT DISTINCT FROM p.image_version
      AND good.params.top_k IS NOT DISTINCT FROM p.params.top_k
      AND good.asked IS NOT DISTINCT FROM p.asked
      AND good.preprocess = p.preprocess
  END;

-- The last attempt at each image with each model, good or not, a row for each reference to it;
-- finished runs only. A skipped row is no attempt: the image was not looked at.
CREATE OR REPLACE VIEW predictions_current AS
SELECT
  p.image_uri, p.image_version, p.image_sha256, p.image_bytes, p.image_width, p.image_height,
  p.image_format, p.image_updated_at, p.status, p.predictions, p.top_label, p.top_score,
  p.top_margin, p.error, p.params, p.model_id, p.model_revision, p.model_key, p.predicted_at,
  p.device, p.dtype, p.batch_size, p.preprocess_ms, p.inference_ms, p.library_versions,
  p.request_id, p.attributes, p.shared_with, p.duplicates, p.run_id, p.run_date
FROM predictions AS p
WHERE p.status <> 'skipped'
  AND p.run_id IN (
    SELECT r.run_id FROM prediction_runs AS r WHERE r.state = 'DONE')
QUALIFY p.run_id = FIRST_VALUE(p.run_id) OVER (
  PARTITION BY p.image_uri, p.model_key
  ORDER BY p.predicted_at DESC, p.run_id DESC);

-- One row per label of each good row of all finished runs; rank 1 is the best label.
-- Labels beyond the row's top_k are not there: a missing label does not mean a score of zero.
-- Scores of one image add up to one only where softmax was applied, and all labels were kept.
CREATE OR REPLACE VIEW prediction_labels AS
SELECT
  p.image_uri, p.image_version, p.request_id, p.attributes, p.model_id, p.model_key, p.run_id,
  p.run_date, p.predicted_at, p.params.function_to_apply, p.params.top_k, p.rank, p.item.label,
  p.item.score
FROM (
  SELECT p.*, unnest(p.predictions) AS item, generate_subscripts(p.predictions, 1) AS rank
  FROM predictions AS p
  WHERE p.status = 'ok' AND p.run_id IN (
    SELECT r.run_id FROM prediction_runs AS r WHERE r.state = 'DONE')) AS p;

-- One row per image that failed, of all finished runs. Those that still fail are in
-- predictions_current.
CREATE OR REPLACE VIEW prediction_errors AS
SELECT
  p.image_uri, p.image_version, p.request_id, p.attributes, p.image_bytes, p.model_id,
  p.model_key, p.run_id, p.run_date, p.predicted_at, p.error.stage, p.error.code, p.error.message,
  p.error.attempts
FROM predictions AS p
WHERE p.status = 'error'
  AND p.run_id IN (
    SELECT r.run_id FROM prediction_runs AS r WHERE r.state = 'DONE');

-- Two models over one image, their scores of predictions_latest side by side; each pair of models
-- stands once for an image, model_a before model_b. same_content says whether both saw the same
-- bytes.
CREATE OR REPLACE VIEW model_compare AS
SELECT
  a.image_uri, a.model_key AS model_a, b.model_key AS model_b, a.top_label AS top_label_a,
  b.top_label AS top_label_b, a.top_score AS top_score_a, b.top_score AS top_score_b,
  a.top_margin AS top_margin_a, b.top_margin AS top_margin_b, a.predicted_run_id AS run_id_a,
  b.predicted_run_id AS run_id_b, a.predicted_at AS predicted_at_a, b.predicted_at AS predicted_at_b,
  a.top_label = b.top_label AS agrees, a.image_sha256 = b.image_sha256 AS same_content
FROM (
  SELECT p.*
  FROM predictions_latest AS p
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY p.image_uri, p.model_key
    ORDER BY p.predicted_at DESC, p.predicted_run_id DESC) = 1) AS a
JOIN (
  SELECT p.*
  FROM predictions_latest AS p
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY p.image_uri, p.model_key
    ORDER BY p.predicted_at DESC, p.predicted_run_id DESC) = 1) AS b
  ON a.image_uri = b.image_uri AND a.model_key < b.model_key;
