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
FROM read_json({records}, hive_partitioning = false, columns = {{
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
    shared: 'BIGINT'}});

-- One row per reference and run; only files that a committed record names. Keys are taken from the
-- end of the path: a folder above the output may look like a key too. Files of before December 2026
-- lack the last columns.
CREATE OR REPLACE VIEW predictions AS
SELECT
{columns}
FROM (
  SELECT *,
    CAST(regexp_extract(filename, {key_pattern}, 1) AS DATE) AS run_date,
    regexp_extract(filename, {key_pattern}, 2) AS run_id
  FROM (
    SELECT *
    FROM read_parquet({files}, hive_partitioning = false, union_by_name = true, filename = true)
    UNION ALL BY NAME
    SELECT {added_columns} WHERE false)) AS p
WHERE 'predictions/' || regexp_extract(p.filename, {key_pattern}) IN (
  SELECT file.path
  FROM (SELECT unnest(files) AS file FROM prediction_runs WHERE state = 'DONE'));
