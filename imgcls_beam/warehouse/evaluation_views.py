"""Views that hold runs against a carried column of true labels, for DuckDB and for BigQuery.

::

    predictions ────┬─▶ evaluation_rows ─┬─▶ evaluation_runs
    prediction_runs ┘                    ├─▶ evaluation_labels
                                         ├─▶ evaluation_confusion
                                         └─▶ evaluation_calibration

No view takes a parameter, so the column's name stands in their text. The truth is the label's name;
what `imgcls evaluate` does beyond that (class ids, mappings, thresholds) is not done here.
"""

import re
from collections.abc import Mapping

from imgcls_beam.bigquery import quote_text
from imgcls_beam.checks import check_text
from imgcls_beam.errors import ConfigError
from imgcls_beam.warehouse.columns import read_schema
from imgcls_beam.warehouse.views import (
    DUCKDB,
    PLACEHOLDER_DATASET,
    PREDICTIONS_NAME,
    quote,
    spell_bigquery,
)

_TEMPLATE = read_schema("evaluation.template.sql")
EVALUATION_VIEWS = tuple(
    re.findall(r"^CREATE OR REPLACE VIEW \{(\w+)\} AS$", _TEMPLATE, re.MULTILINE)
)
"""Their names, in an order in which each needs only those before it."""

_PLAIN_KINDS = "('VARCHAR', 'BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE', 'BOOLEAN')"
_RANK_IN_DUCKDB = "NULLIF(list_position([x.label FOR x IN p.predictions], p.truth), 0)"
_RANK_IN_BIGQUERY = (
    "(\n    SELECT MIN(position) + 1\n"
    "    FROM UNNEST(p.predictions) AS item WITH OFFSET AS position\n"
    "    WHERE item.label = p.truth)"
)


def render_evaluation_duckdb(truth_column: str) -> str:
    """The views for DuckDB, where `predictions` and `prediction_runs` are.

    Raises:
        ConfigError: no JSON path can have the column's name.
    """
    path = quote(_to_path(truth_column))
    kind, value = f"json_type(p.attributes, {path})", f"json_extract_string(p.attributes, {path})"
    own = {name: name for name in EVALUATION_VIEWS}
    truth = f"CASE WHEN {kind} IN {_PLAIN_KINDS} THEN {value} END"
    spelled = {"truth": truth, "truth_rank": _RANK_IN_DUCKDB, "integer": "BIGINT"}
    return _render({**DUCKDB, **own, **spelled}, truth_column)


def render_evaluation_bigquery(
    truth_column: str, dataset: str = PLACEHOLDER_DATASET, table: str = PREDICTIONS_NAME
) -> str:
    """The views for BigQuery, in the dataset of the table of predictions.

    Args:
        truth_column: the carried column.
        dataset: `project.dataset`.
        table: of predictions. The views of another than `predictions` are called after it.

    Raises:
        ConfigError: no JSON path can have the column's name.
    """
    before = "" if table == PREDICTIONS_NAME else f"{table}_"
    own = {name: f"`{dataset}.{before}{name}`" for name in EVALUATION_VIEWS}
    truth = f"JSON_VALUE(p.attributes, {quote_text(_to_path(truth_column))})"
    spelled = {"truth": truth, "truth_rank": _RANK_IN_BIGQUERY, "integer": "INT64"}
    return _render({**spell_bigquery(dataset, table), **own, **spelled}, truth_column)


def _render(words: Mapping[str, str], truth_column: str) -> str:
    return _TEMPLATE.format(**words, column=truth_column)


def _to_path(column: str) -> str:
    """The JSON path of a carried column.

    Raises:
        ConfigError: a quote or a backslash, which the engines escape each in a way of its own; a
            star, which means all to DuckDB; or control characters.
    """
    check_text("truth_column", column)
    if set(column) & {'"', "\\", "*"}:
        problem = 'SQL cannot name a column with ", \\ or *; carry it by another name'
        raise ConfigError("truth_column", column, problem)
    return f'$."{column}"'
