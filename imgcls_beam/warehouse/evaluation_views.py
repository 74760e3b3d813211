"""Views that hold runs against a carried column of true labels, for DuckDB and for BigQuery.

::

    predictions ────┬─▶ evaluation_rows ─┬─▶ evaluation_runs
    prediction_runs ┘                    ├─▶ evaluation_labels
                                         ├─▶ evaluation_confusion
                                         └─▶ evaluation_calibration

No view takes a parameter, so the column's name stands in their text. The truth is the label's name,
found as `analysis.truths` finds it; what `imgcls evaluate` does beyond that (class ids, mappings,
labels that are in no row, thresholds) is not done here.
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
_BLANK = r"[\t-\r\x1c-\x1f\x{85}\p{Z}]+"
_BLANKS = rf"'\A{_BLANK}|{_BLANK}\z'"
"""What `str.strip` removes, for RE2, which both engines have; DuckDB's TRIM removes spaces only."""
_WORDS_IN_DUCKDB = {
    "truth_rank": "NULLIF(list_position([x.label FOR x IN t.predictions], t.truth), 0)",
    "is_label": "list_contains(alike.labels, p.given)",
    "blanks": _BLANKS,
    "everywhere": ", 'g'",
    "integer": "BIGINT",
}
_WORDS_IN_BIGQUERY = {
    "truth_rank": (
        "(\n    SELECT MIN(position) + 1\n"
        "    FROM UNNEST(t.predictions) AS item WITH OFFSET AS position\n"
        "    WHERE item.label = t.truth)"
    ),
    "is_label": "p.given IN UNNEST(alike.labels)",
    "blanks": f"r{_BLANKS}",
    "everywhere": "",
    "integer": "INT64",
}


def render_evaluation_duckdb(truth_column: str) -> str:
    """The views for DuckDB, where `predictions` and `prediction_runs` are.

    Raises:
        ConfigError: no JSON path can have the column's name.
    """
    path = _to_path(truth_column)
    plain, only = (
        f"{_PLAIN_KINDS} THEN json_extract_string(p.attributes, {quote(each)})"
        for each in (path, f"{path}[0]")
    )
    own = {name: name for name in EVALUATION_VIEWS}
    truth = (
        f"CASE WHEN json_type(p.attributes, {quote(path)}) IN {plain}\n        "
        f"WHEN json_array_length(p.attributes, {quote(path)}) = 1\n        "
        f"AND json_type(p.attributes, {quote(f'{path}[0]')}) IN {only} END"
    )
    return _render({**DUCKDB, **_WORDS_IN_DUCKDB, **own, "truth": truth}, truth_column)


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
    path = _to_path(truth_column)
    first, second = (quote_text(f"{path}[{at}]") for at in range(2))
    truth = (
        f"COALESCE(\n        JSON_VALUE(p.attributes, {quote_text(path)}),\n        "
        f"CASE WHEN JSON_QUERY(p.attributes, {second}) IS NULL "
        f"THEN JSON_VALUE(p.attributes, {first}) END)"
    )
    spelled = {**spell_bigquery(dataset, table), **_WORDS_IN_BIGQUERY}
    return _render({**spelled, **own, "truth": truth}, truth_column)


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
