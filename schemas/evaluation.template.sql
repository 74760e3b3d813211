-- Each good row of all finished runs that carries a truth, {column}: of the labels of its run and
-- model the one of the same text or, if there is none, one that is alike but for blanks around, of
-- several the one without blanks, else the first by text. truth_rank is the place of the truth among
-- the row's labels, from 1; null where it is not among them.
CREATE OR REPLACE VIEW {evaluation_rows} AS
SELECT
  t.image_uri, t.request_id, t.model_key, t.run_id, t.run_date, t.truth, t.top_label, t.top_score,
  t.top_margin, t.truth = t.top_label AS is_right, {truth_rank} AS truth_rank,
  t.params.function_to_apply
FROM (
  SELECT
    p.*, CASE WHEN {is_label} THEN p.given ELSE COALESCE(alike.label, p.bare) END AS truth
  FROM (
    SELECT p.*, REGEXP_REPLACE(p.given, {blanks}, ''{everywhere}) AS bare
    FROM (
      SELECT
        p.image_uri, p.request_id, p.model_key, p.run_id, p.run_date, p.top_label, p.top_score,
        p.top_margin, p.params, p.predictions, {truth} AS given
      FROM {predictions} AS p
      WHERE p.status = 'ok' AND p.run_id IN (
        SELECT r.run_id FROM {prediction_runs} AS r WHERE r.state = 'DONE')) AS p) AS p
  LEFT JOIN (
    SELECT
      l.run_id, l.run_date, l.model_key, l.bare, ARRAY_AGG(l.label) AS labels,
      COALESCE(MAX(CASE WHEN l.label = l.bare THEN l.label END), MIN(l.label)) AS label
    FROM (
      SELECT l.*, REGEXP_REPLACE(l.label, {blanks}, ''{everywhere}) AS bare
      FROM (
        SELECT DISTINCT p.run_id, p.run_date, p.model_key, p.item.label
        FROM (
          SELECT p.run_id, p.run_date, p.model_key, {item} AS item
          FROM {predictions} AS p{unnest}
          WHERE p.status = 'ok') AS p) AS l) AS l
    GROUP BY l.run_id, l.run_date, l.model_key, l.bare) AS alike
    ON alike.run_id = p.run_id AND alike.run_date = p.run_date
    AND alike.model_key = p.model_key AND alike.bare = p.bare
  WHERE p.bare <> '') AS t;

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
-- end. Where accuracy lies below mean_score, the model is too sure of itself. Runs that have scores
-- which are no probabilities, as not softmax or sigmoid was applied, are not there.
CREATE OR REPLACE VIEW {evaluation_calibration} AS
SELECT
  e.run_id, e.run_date, e.model_key, e.bin, COUNT(*) AS images, AVG(e.top_score) AS mean_score,
  COUNT(CASE WHEN e.is_right THEN 1 END) / COUNT(*) AS accuracy
FROM (
  SELECT
    e.*, CAST(GREATEST(CEIL(e.top_score * 15), 1) AS {integer}) AS bin,
    MIN(CASE
      WHEN e.function_to_apply IN ('softmax', 'sigmoid') AND e.top_score BETWEEN 0 AND 1 THEN 1
      ELSE 0 END) OVER (PARTITION BY e.run_id, e.run_date, e.model_key) AS are_probabilities
  FROM {evaluation_rows} AS e) AS e
WHERE e.are_probabilities = 1
GROUP BY e.run_id, e.run_date, e.model_key, e.bin;
