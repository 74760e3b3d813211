"""The views over published runs, for DuckDB and for BigQuery.

::

    predictions ──────┬─▶ predictions_latest ─▶ model_compare
    prediction_runs ──┤─▶ predictions_current
                      ├─▶ prediction_labels
                      └─▶ prediction_errors

The two on the left are tables in BigQuery, and in DuckDB views over the files and the records of an
output folder. `schemas/*.template.sql` has the text of all, with gaps in braces that are filled
here; `schemas/views.*.sql` is the text of one dialect.

"Last" is by `predicted_at`; of two rows of one time the one with the greater run id is the last.
"""

import re
import textwrap
from collections.abc import Mapping

from imgcls_beam.warehouse.columns import PREDICTIONS, read_schema

PREDICTIONS_NAME, RUNS_NAME = "predictions", "prediction_runs"
PLACEHOLDER_OUTPUT = "OUT"
PLACEHOLDER_DATASET = "PROJECT.DATASET"

_TEMPLATE = read_schema("views.template.sql")
VIEWS = tuple(re.findall(r"^CREATE OR REPLACE VIEW \{(\w+)\} AS$", _TEMPLATE, re.MULTILINE))
"""Their names, in an order in which each needs only those before it."""

_RELATIONS = (PREDICTIONS_NAME, RUNS_NAME, *VIEWS)
_OF_THE_REFERENCE = frozenset(
    {
        *("image_uri", "model_id", "model_revision", "model_key", "request_id", "attributes"),
        *("duplicates", "run_id", "run_date"),
    }
)
"""What a row says of itself; all else is of the image and its scores."""
_ADDED = {"shared_with": "VARCHAR", "duplicates": "INTEGER"}
"""Columns that files of before December 2026 lack."""
_KEY_PATTERN = "run_date=([^/]+)/model=[^/]+/run_id=([^/]+)/[^/]+$"

_ROWS = """(
    SELECT p.*, r.preprocess,
      CASE WHEN p.params.function_source = 'job' THEN p.params.function_to_apply END AS asked
    FROM {predictions} AS p
    JOIN (
      SELECT r.run_id, MAX({preprocess}) AS preprocess
      FROM {prediction_runs} AS r
      WHERE r.state = 'DONE'
      GROUP BY r.run_id) AS r
      ON r.run_id = p.run_id)"""
"""Rows of finished runs, each with what its job asked for beside `top_k`: how images are prepared,
and the function, which is null where that was left to the model."""
# BigQuery took QUALIFY only behind a WHERE at first, so there is always one.
_LAST = "ORDER BY p.predicted_at DESC, p.run_id DESC"
_GOOD = f"""(
  SELECT p.*, ROW_NUMBER() OVER (PARTITION BY p.image_uri, p.model_key {_LAST}) AS place
  FROM (
    SELECT p.*
    FROM {_ROWS} AS p
    WHERE p.status = 'ok'
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY p.image_uri, p.model_key, p.image_version, p.params.top_k, p.asked, p.preprocess
      {_LAST}) = 1) AS p)"""
"""Of each image and model the last good row of each version and of each parameters; the last of all
of them has place 1."""
_SCORES = """(
  SELECT p.*
  FROM {predictions_latest} AS p
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY p.image_uri, p.model_key
    ORDER BY p.predicted_at DESC, p.predicted_run_id DESC) = 1)"""
"""The scores of each image and model that hold now."""


def _choose_row(name: str) -> str:
    """The column of a row, or of the row that has its scores where it is not good itself."""
    if name in _OF_THE_REFERENCE:
        return f"  p.{name}"
    return f"  CASE WHEN p.status = 'ok' THEN p.{name} ELSE good.{name} END AS {name}"


_NAMES = [column.name for column in PREDICTIONS]
_COLUMNS = textwrap.fill(
    ", ".join(f"p.{name}" for name in _NAMES),
    width=98,
    initial_indent="  ",
    subsequent_indent="  ",
)
_LATEST_COLUMNS = ",\n".join(map(_choose_row, _NAMES))

# How a list becomes rows: an element a row, its place from 1, and what FROM takes for it; and how a
# run has prepared its images. A lateral join, as BigQuery has it, takes DuckDB 2.0 twenty times as
# long: 6.0 s against 0.3 s over 630,000 rows of five labels.
_WORDS_IN_DUCKDB = {
    "item": "unnest(p.predictions)",
    "rank": "generate_subscripts(p.predictions, 1)",
    "unnest": "",
    "preprocess": "COALESCE(json_extract_string(r.configuration, '$.decode.preprocess'), 'exact')",
}
_WORDS_IN_BIGQUERY = {
    "item": "item",
    "rank": "position + 1",
    "unnest": "\n  CROSS JOIN UNNEST(p.predictions) AS item WITH OFFSET AS position",
    "preprocess": "COALESCE(JSON_VALUE(r.configuration, '$.decode.preprocess'), 'exact')",
}

DUCKDB = {name: name for name in _RELATIONS} | _WORDS_IN_DUCKDB
"""What stands in braces, as DuckDB spells it."""


def render_views(words: Mapping[str, str]) -> str:
    """The statements that make all views; `words` are `DUCKDB`, or of `spell_bigquery`."""
    parts = {"rows": _ROWS, "good": _GOOD, "scores": _SCORES}
    given = {name: part.format(**words) for name, part in parts.items()}
    columns = {"columns": _COLUMNS, "latest_columns": _LATEST_COLUMNS}
    return _TEMPLATE.format(**given, **columns, **words)


def render_duckdb(output: str = PLACEHOLDER_OUTPUT) -> str:
    """All views for DuckDB, over an output folder: a path, or a URL that DuckDB reads.

    Only files that a committed record names are read: what a run that never ended left, or what a
    replaced one did, is not seen. The record's paths are relative to the output folder, so only
    the last four components are compared, and it does not matter how the folder is spelled.
    """
    note = "stands for the output folder; this puts it in:\n--   imgcls sql --dialect duckdb"
    place = f"-- {output} {note} --output DIR\n" if output == PLACEHOLDER_OUTPUT else ""
    folder = escape_glob(output)
    sources = read_schema("duckdb_sources.template.sql").format(
        columns=_COLUMNS,
        records=quote(f"{folder}/runs/*.json"),
        files=quote(f"{folder}/{PREDICTIONS_NAME}/**/*.parquet"),
        key_pattern=quote(_KEY_PATTERN),
        added_columns=", ".join(f"CAST(NULL AS {_ADDED[name]}) AS {name}" for name in _ADDED),
    )
    return f"""\
-- Views over published runs, for DuckDB 2.
{place}-- gs:// and s3:// take DuckDB's httpfs: INSTALL httpfs; LOAD httpfs; CREATE SECRET …

{sources}
{render_views(DUCKDB)}"""


def render_bigquery(dataset: str = PLACEHOLDER_DATASET, table: str = PREDICTIONS_NAME) -> str:
    """All views for BigQuery, in the dataset of the table of predictions.

    Args:
        dataset: `project.dataset`.
        table: of predictions. The views of another than `predictions` are called after it, so
            that several tables of one dataset keep their own.
    """
    note = "stands for the dataset of the tables; this puts it in:\n--   imgcls sql"
    named = f"--dialect bigquery --output_table {dataset}.{PREDICTIONS_NAME}"
    place = f"-- {dataset} {note} {named}\n" if dataset == PLACEHOLDER_DATASET else ""
    views = render_views(spell_bigquery(dataset, table))
    return f"-- Views over predictions and prediction_runs, for BigQuery.\n{place}\n{views}"


def spell_bigquery(dataset: str, table: str = PREDICTIONS_NAME) -> dict[str, str]:
    """What stands in braces, as BigQuery spells it; see `render_bigquery`."""
    spelled = {name: f"`{dataset}.{_name_beside(table, name)}`" for name in _RELATIONS}
    return spelled | _WORDS_IN_BIGQUERY


def quote(text: str) -> str:
    """A text literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"


def escape_glob(path: str) -> str:
    """A path of which nothing is taken for a pattern."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in path.rstrip("/"))


def _name_beside(table: str, relation: str) -> str:
    """What a relation is called that belongs to this table of predictions."""
    if table == PREDICTIONS_NAME:
        return relation
    return table if relation == PREDICTIONS_NAME else f"{table}_{relation.partition('_')[2]}"
