"""The views, defined once and rendered for DuckDB and for BigQuery.

::

    predictions ──────┬─▶ predictions_latest ─▶ model_compare
    prediction_runs ──┤─▶ predictions_current
                      ├─▶ prediction_labels
                      └─▶ prediction_errors

In BigQuery the two on the left are tables. In DuckDB they are views over the files and the records
of an output folder. `schemas/views.*.sql` is what this module renders and nothing else.

"Last" is by `predicted_at`; of two rows of one time the one with the greater run id is the last.
"""

import dataclasses

from imgcls_beam.warehouse.columns import PREDICTIONS
from imgcls_beam.warehouse.dialects import (
    DUCKDB,
    PREDICTIONS_NAME,
    RUNS_NAME,
    Dialect,
    list_columns,
    make_bigquery,
    read_predictions,
    read_runs,
)

PLACEHOLDER_OUTPUT = "OUT"
PLACEHOLDER_DATASET = "PROJECT.DATASET"

_FINISHED = """\
p.run_id IN (
    SELECT r.run_id FROM {prediction_runs} AS r WHERE r.state = 'DONE')"""
_LAST = """\
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY p.image_uri, p.model_key
  ORDER BY p.predicted_at DESC, p.run_id DESC) = 1"""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """One view.

    Attributes:
        name: of the view.
        says: what a row of it is; a comment of one line or more.
        columns: name and expression of each column, in order.
        source: all from FROM on. In braces: a relation by its name, or what a `Dialect` spells.
    """

    name: str
    says: str
    columns: tuple[tuple[str, str], ...]
    source: str

    def render(self, dialect: Dialect) -> str:
        """The view's query, without a semicolon."""
        wanted = [
            expression if expression.endswith(f".{name}") else f"{expression} AS {name}"
            for name, expression in self.columns
        ]
        relations = (PREDICTIONS_NAME, RUNS_NAME, *(view.name for view in VIEWS))
        spelled = {name: dialect.locate(name) for name in relations}
        words = {"item": dialect.item, "rank": dialect.rank, "unnest": dialect.unnest}
        return f"SELECT\n{list_columns(wanted)}\n{self.source.format(**spelled, **words)}"


def _name(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, f"p.{name}") for name in names)


_ROW = _name(*(column.name for column in PREDICTIONS))
_IMAGE = _name("image_uri", "image_version", "request_id", "attributes")
_RUN = _name("model_id", "model_key", "run_id", "run_date", "predicted_at")

LATEST = View(
    "predictions_latest",
    "The last good row of each image and model; finished runs only.",
    _ROW,
    f"FROM {{predictions}} AS p\nWHERE p.status = 'ok'\n  AND {_FINISHED}\n{_LAST}",
)
CURRENT = View(
    "predictions_current",
    "The last attempt at each image with each model, good or not; finished runs only.\n"
    "A skipped row is no attempt: the image was not looked at.",
    _ROW,
    f"FROM {{predictions}} AS p\nWHERE p.status <> 'skipped'\n  AND {_FINISHED}\n{_LAST}",
)
LABELS = View(
    "prediction_labels",
    "One row per label of each good row of all finished runs; rank 1 is the best label.\n"
    "Labels beyond the row's top_k are not there: a missing label does not mean a score of zero.\n"
    "Scores of one image add up to one only where softmax was applied, and all labels were kept.",
    (
        *_IMAGE,
        *_RUN,
        ("function_to_apply", "p.params.function_to_apply"),
        ("top_k", "p.params.top_k"),
        ("rank", "p.rank"),
        ("label", "p.item.label"),
        ("score", "p.item.score"),
    ),
    f"""\
FROM (
  SELECT p.*, {{item}} AS item, {{rank}} AS rank
  FROM {{predictions}} AS p{{unnest}}
  WHERE p.status = 'ok' AND {_FINISHED}) AS p""",
)
ERRORS = View(
    "prediction_errors",
    "One row per image that failed, of all finished runs. Those that still fail are in\n"
    "predictions_current.",
    (
        *_IMAGE,
        ("image_bytes", "p.image_bytes"),
        *_RUN,
        *((name, f"p.error.{name}") for name in ("stage", "code", "message", "attempts")),
    ),
    f"FROM {{predictions}} AS p\nWHERE p.status = 'error'\n  AND {_FINISHED}",
)


def _pair(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (f"{name}_a", f"a.{name}"), (f"{name}_b", f"b.{name}")


COMPARE = View(
    "model_compare",
    "Two models over one image, their latest rows side by side; each pair of models stands once,\n"
    "model_a before model_b. same_content says whether both saw the same bytes.",
    (
        ("image_uri", "a.image_uri"),
        ("model_a", "a.model_key"),
        ("model_b", "b.model_key"),
        *_pair("top_label"),
        *_pair("top_score"),
        *_pair("top_margin"),
        *_pair("run_id"),
        *_pair("predicted_at"),
        ("agrees", "a.top_label = b.top_label"),
        ("same_content", "a.image_sha256 = b.image_sha256"),
    ),
    """\
FROM {predictions_latest} AS a
JOIN {predictions_latest} AS b
  ON a.image_uri = b.image_uri AND a.model_key < b.model_key""",
)

VIEWS = (LATEST, CURRENT, LABELS, ERRORS, COMPARE)
"""In an order in which each needs only those before it."""


def render_duckdb(output: str = PLACEHOLDER_OUTPUT) -> str:
    """All views for DuckDB, over an output folder: a path, or a URL that DuckDB reads."""
    sources = (
        ("One row per run: the records, which are written last.", RUNS_NAME, read_runs(output)),
        (
            "One row per image and run; only files that a committed record names.",
            PREDICTIONS_NAME,
            read_predictions(output),
        ),
    )
    first = [_create(says, name, query) for says, name, query in sources]
    place = (
        "-- gs:// and s3:// take DuckDB's httpfs: INSTALL httpfs; LOAD httpfs; CREATE SECRET …\n"
    )
    if output == PLACEHOLDER_OUTPUT:
        place = f"""\
-- {PLACEHOLDER_OUTPUT} stands for the output folder; this puts it in:
--   imgcls sql --dialect duckdb --output DIR
{place}"""
    return "\n".join(
        [f"-- Views over published runs, for DuckDB 2.\n{place}", *first, *_derive(DUCKDB)]
    )


def render_bigquery(dataset: str = PLACEHOLDER_DATASET, table: str = PREDICTIONS_NAME) -> str:
    """All views for BigQuery, in the dataset of the table of predictions.

    Args:
        dataset: `project.dataset`.
        table: of predictions. The views of another than `predictions` are called after it, so
            that several tables of one dataset keep their own.
    """
    place = ""
    if dataset == PLACEHOLDER_DATASET:
        place = f"""\
-- {PLACEHOLDER_DATASET} stands for the dataset of the tables; this puts it in:
--   imgcls sql --dialect bigquery --output_table PROJECT.DATASET.{PREDICTIONS_NAME}
"""
    head = f"-- Views over predictions and prediction_runs, for BigQuery.\n{place}"
    return "\n".join([head, *_derive(make_bigquery(dataset, name_relations(table)))])


def name_relations(table: str) -> dict[str, str]:
    """What relations are called beside a table of predictions; empty for their own names."""
    if table == PREDICTIONS_NAME:
        return {}
    names = {view.name: f"{table}_{view.name.partition('_')[2]}" for view in VIEWS}
    return {PREDICTIONS_NAME: table, RUNS_NAME: f"{table}_runs", **names}


def _derive(dialect: Dialect) -> list[str]:
    return [_create(v.says, dialect.locate(v.name), v.render(dialect)) for v in VIEWS]


def _create(says: str, name: str, query: str) -> str:
    comment = "\n".join(f"-- {line}" for line in says.splitlines())
    return f"{comment}\nCREATE OR REPLACE VIEW {name} AS\n{query};\n"
