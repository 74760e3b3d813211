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
_COLUMNS = textwrap.fill(
    ", ".join(f"p.{column.name}" for column in PREDICTIONS),
    width=98,
    initial_indent="  ",
    subsequent_indent="  ",
)

# How a list becomes rows: an element a row, its place from 1, and what FROM takes for it.
# A lateral join, as BigQuery has it, takes DuckDB 2.0 twenty times as long: 6.0 s against 0.3 s
# over 630,000 rows of five labels.
_LIST_IN_DUCKDB = {
    "item": "unnest(p.predictions)",
    "rank": "generate_subscripts(p.predictions, 1)",
    "unnest": "",
}
_LIST_IN_BIGQUERY = {
    "item": "item",
    "rank": "position + 1",
    "unnest": "\n  CROSS JOIN UNNEST(p.predictions) AS item WITH OFFSET AS position",
}

DUCKDB = {name: name for name in _RELATIONS} | _LIST_IN_DUCKDB
"""What stands in braces, as DuckDB spells it."""


def render_views(words: Mapping[str, str]) -> str:
    """The statements that make all views; `words` are `DUCKDB`, or of `spell_bigquery`."""
    return _TEMPLATE.format(columns=_COLUMNS, **words)


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
    return spelled | _LIST_IN_BIGQUERY


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
