-- Each image and model as the latest finished run has it: a row for each reference to it, with what
-- is carried now (attributes, request_id), and its scores. Where the run skipped the image, these are
-- of the latest good row of the same version of it and the same parameters, and where it failed, of
-- the latest good row, whatever its version is: predicted_run_id says of which run they are.
-- Images without such scores are not here.
CREATE OR REPLACE VIEW {predictions_latest} AS
SELECT
{latest_columns},
  CASE WHEN p.status = 'ok' THEN p.run_id ELSE good.run_id END AS predicted_run_id
FROM (
  SELECT p.*
  FROM {rows} AS p
  WHERE TRUE
  QUALIFY p.run_id = FIRST_VALUE(p.run_id) OVER (
    PARTITION BY p.image_uri, p.model_key
    ORDER BY p.predicted_at DESC, p.run_id DESC)) AS p
JOIN {good} AS good
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
CREATE OR REPLACE VIEW {predictions_current} AS
SELECT
{columns}
FROM {predictions} AS p
WHERE p.status <> 'skipped'
  AND p.run_id IN (
    SELECT r.run_id FROM {prediction_runs} AS r WHERE r.state = 'DONE')
QUALIFY p.run_id = FIRST_VALUE(p.run_id) OVER (
  PARTITION BY p.image_uri, p.model_key
  ORDER BY p.predicted_at DESC, p.run_id DESC);

-- One row per label of each good row of all finished runs; rank 1 is the best label.
-- Labels beyond the row's top_k are not there: a missing label does not mean a score of zero.
-- Scores of one image add up to one only where softmax was applied, and all labels were kept.
CREATE OR REPLACE VIEW {prediction_labels} AS
SELECT
  p.image_uri, p.image_version, p.request_id, p.attributes, p.model_id, p.model_key, p.run_id,
  p.run_date, p.predicted_at, p.params.function_to_apply, p.params.top_k, p.rank, p.item.label,
  p.item.score
FROM (
  SELECT p.*, {item} AS item, {rank} AS rank
  FROM {predictions} AS p{unnest}
  WHERE p.status = 'ok' AND p.run_id IN (
    SELECT r.run_id FROM {prediction_runs} AS r WHERE r.state = 'DONE')) AS p;

-- One row per image that failed, of all finished runs. Those that still fail are in
-- predictions_current.
CREATE OR REPLACE VIEW {prediction_errors} AS
SELECT
  p.image_uri, p.image_version, p.request_id, p.attributes, p.image_bytes, p.model_id,
  p.model_key, p.run_id, p.run_date, p.predicted_at, p.error.stage, p.error.code, p.error.message,
  p.error.attempts
FROM {predictions} AS p
WHERE p.status = 'error'
  AND p.run_id IN (
    SELECT r.run_id FROM {prediction_runs} AS r WHERE r.state = 'DONE');

-- Two models over one image, their scores of predictions_latest side by side; each pair of models
-- stands once for an image, model_a before model_b. same_content says whether both saw the same
-- bytes.
CREATE OR REPLACE VIEW {model_compare} AS
SELECT
  a.image_uri, a.model_key AS model_a, b.model_key AS model_b, a.top_label AS top_label_a,
  b.top_label AS top_label_b, a.top_score AS top_score_a, b.top_score AS top_score_b,
  a.top_margin AS top_margin_a, b.top_margin AS top_margin_b, a.predicted_run_id AS run_id_a,
  b.predicted_run_id AS run_id_b, a.predicted_at AS predicted_at_a, b.predicted_at AS predicted_at_b,
  a.top_label = b.top_label AS agrees, a.image_sha256 = b.image_sha256 AS same_content
FROM {scores} AS a
JOIN {scores} AS b
  ON a.image_uri = b.image_uri AND a.model_key < b.model_key;
