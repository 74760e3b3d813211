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
FROM read_json({records}, columns = {{
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
    publications: 'STRUCT("attempt" VARCHAR, "how" VARCHAR, "started_at" TIMESTAMPTZ, "finished_at" TIMESTAMPTZ, "rows" BIGINT, "skipped" BIGINT)[]'}});

-- One row per image and run; only files that a committed record names.
CREATE OR REPLACE VIEW predictions AS
SELECT
{columns}
FROM read_parquet({files}, hive_partitioning = true,
  hive_types = {{run_id: VARCHAR, model: VARCHAR, run_date: DATE}}, filename = true) AS p
WHERE 'predictions/' || regexp_extract(
  p.filename, 'run_date=[^/]+/model=[^/]+/run_id=[^/]+/[^/]+$') IN (
  SELECT file.path
  FROM (SELECT unnest(files) AS file FROM prediction_runs WHERE state = 'DONE'));
