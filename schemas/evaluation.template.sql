-- Each good row of all finished runs that carries a truth, {column}. truth_rank is the place of
-- the truth among the row's labels, from 1; null where it is not among them.
CREATE OR REPLACE VIEW {evaluation_rows} AS
SELECT
  p.image_uri, p.request_id, p.model_key, p.run_id, p.run_date, p.truth, p.top_label, p.top_score,
  p.top_margin, p.truth = p.top_label AS is_right, {truth_rank} AS truth_rank
FROM (
  SELECT p.*, NULLIF(TRIM({truth}), '') AS truth
  FROM {predictions} AS p
  WHERE p.status = 'ok' AND p.run_id IN (
    SELECT r.run_id FROM {prediction_runs} AS r WHERE r.state = 'DONE')) AS p
WHERE p.truth IS NOT NULL;

-- Accuracy of each run and model; top_5_accuracy is too low where rows have fewer than five labels.
CREATE OR REPLACE VIEW {evaluation_runs} AS
SELECT
  e.run_id, e.run_date, e.model_key, COUNT(*) AS images,
  COUNT(CASE WHEN e.is_right THEN 1 END) / COUNT(*) AS accuracy,
  COUNT(CASE WHEN e.truth_rank <= 5 THEN 1 END) / COUNT(*) AS top_5_accuracy,
  AVG(e.top_score) AS mean_score
FROM {evaluation_rows} AS e
GROUP BY e.run_id, e.run_date, e.model_key;

-- Each label that is the truth or the best label of an image. A ratio over nothing is 0.
CREATE OR REPLACE VIEW {evaluation_labels} AS
SELECT
  c.run_id, c.run_date, c.model_key, c.label, c.images, c.predicted, c.hits,
  COALESCE(c.hits / NULLIF(c.predicted, 0), 0) AS label_precision,
  COALESCE(c.hits / NULLIF(c.images, 0), 0) AS label_recall,
  COALESCE(2 * c.hits / NULLIF(c.images + c.predicted, 0), 0) AS f1
FROM (
  SELECT
    u.run_id, u.run_date, u.model_key, u.label, COUNT(u.truth) AS images,
    COUNT(u.top_label) AS predicted, COUNT(u.hit) AS hits
  FROM (
    SELECT
      e.run_id, e.run_date, e.model_key, e.truth AS label, e.truth, NULL AS top_label,
      CASE WHEN e.is_right THEN e.truth END AS hit
    FROM {evaluation_rows} AS e
    UNION ALL
    SELECT
      e.run_id, e.run_date, e.model_key, e.top_label AS label, NULL AS truth, e.top_label,
      NULL AS hit
    FROM {evaluation_rows} AS e) AS u
  GROUP BY u.run_id, u.run_date, u.model_key, u.label) AS c;

-- The confusion matrix, its cells that are not empty.
CREATE OR REPLACE VIEW {evaluation_confusion} AS
SELECT
  e.run_id, e.run_date, e.model_key, e.truth, e.top_label, COUNT(*) AS images,
  AVG(e.top_score) AS mean_score
FROM {evaluation_rows} AS e
GROUP BY e.run_id, e.run_date, e.model_key, e.truth, e.top_label;

-- Reliability: images by their best score, in 15 bins of equal width from 0, each without its lower
-- end. Where accuracy lies below mean_score, the model is too sure of itself.
CREATE OR REPLACE VIEW {evaluation_calibration} AS
SELECT
  e.run_id, e.run_date, e.model_key, e.bin, COUNT(*) AS images, AVG(e.top_score) AS mean_score,
  COUNT(CASE WHEN e.is_right THEN 1 END) / COUNT(*) AS accuracy
FROM (
  SELECT e.*, CAST(GREATEST(CEIL(e.top_score * 15), 1) AS {integer}) AS bin
  FROM {evaluation_rows} AS e
  WHERE e.top_score BETWEEN 0 AND 1) AS e
GROUP BY e.run_id, e.run_date, e.model_key, e.bin;
