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
  publications
FROM read_json('OUT/runs/*.json', columns = {
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
    publications: 'STRUCT("attempt" VARCHAR, "how" VARCHAR, "started_at" TIMESTAMPTZ, "finished_at" TIMESTAMPTZ, "rows" BIGINT, "skipped" BIGINT)[]'});

-- One row per image and run; only files that a committed record names.
CREATE OR REPLACE VIEW predictions AS
SELECT
  p.image_uri, p.image_version, p.image_sha256, p.image_bytes, p.image_width, p.image_height,
  p.image_format, p.image_updated_at, p.status, p.predictions, p.top_label, p.top_score,
  p.top_margin, p.error, p.params, p.model_id, p.model_revision, p.model_key, p.predicted_at,
  p.device, p.dtype, p.batch_size, p.preprocess_ms, p.inference_ms, p.library_versions,
  p.request_id, p.attributes, p.run_id, p.run_date
FROM read_parquet('OUT/predictions/**/*.parquet', hive_partitioning = true,
  hive_types = {run_id: VARCHAR, model: VARCHAR, run_date: DATE}, filename = true) AS p
WHERE 'predictions/' || regexp_extract(
  p.filename, 'run_date=[^/]+/model=[^/]+/run_id=[^/]+/[^/]+$') IN (
  SELECT file.path
  FROM (SELECT unnest(files) AS file FROM prediction_runs WHERE state = 'DONE'));

-- The last good row of each image and model; finished runs only.
CREATE OR REPLACE VIEW predictions_latest AS
SELECT
  p.image_uri, p.image_version, p.image_sha256, p.image_bytes, p.image_width, p.image_height,
  p.image_format, p.image_updated_at, p.status, p.predictions, p.top_label, p.top_score,
  p.top_margin, p.error, p.params, p.model_id, p.model_revision, p.model_key, p.predicted_at,
  p.device, p.dtype, p.batch_size, p.preprocess_ms, p.inference_ms, p.library_versions,
  p.request_id, p.attributes, p.run_id, p.run_date
FROM predictions AS p
WHERE p.status = 'ok'
  AND p.run_id IN (
    SELECT r.run_id FROM prediction_runs AS r WHERE r.state = 'DONE')
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY p.image_uri, p.model_key
  ORDER BY p.predicted_at DESC, p.run_id DESC) = 1;

-- The last attempt at each image with each model, good or not; finished runs only.
-- A skipped row is no attempt: the image was not looked at.
CREATE OR REPLACE VIEW predictions_current AS
SELECT
  p.image_uri, p.image_version, p.image_sha256, p.image_bytes, p.image_width, p.image_height,
  p.image_format, p.image_updated_at, p.status, p.predictions, p.top_label, p.top_score,
  p.top_margin, p.error, p.params, p.model_id, p.model_revision, p.model_key, p.predicted_at,
  p.device, p.dtype, p.batch_size, p.preprocess_ms, p.inference_ms, p.library_versions,
  p.request_id, p.attributes, p.run_id, p.run_date
FROM predictions AS p
WHERE p.status <> 'skipped'
  AND p.run_id IN (
    SELECT r.run_id FROM prediction_runs AS r WHERE r.state = 'DONE')
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY p.image_uri, p.model_key
  ORDER BY p.predicted_at DESC, p.run_id DESC) = 1;

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

-- Two models over one image, their latest rows side by side; each pair of models stands once,
-- model_a before model_b. same_content says whether both saw the same bytes.
CREATE OR REPLACE VIEW model_compare AS
SELECT
  a.image_uri, a.model_key AS model_a, b.model_key AS model_b, a.top_label AS top_label_a,
  b.top_label AS top_label_b, a.top_score AS top_score_a, b.top_score AS top_score_b,
  a.top_margin AS top_margin_a, b.top_margin AS top_margin_b, a.run_id AS run_id_a,
  b.run_id AS run_id_b, a.predicted_at AS predicted_at_a, b.predicted_at AS predicted_at_b,
  a.top_label = b.top_label AS agrees, a.image_sha256 = b.image_sha256 AS same_content
FROM predictions_latest AS a
JOIN predictions_latest AS b
  ON a.image_uri = b.image_uri AND a.model_key < b.model_key;
