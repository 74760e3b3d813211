"""What the warehouse holds of earlier runs, for a run that wants only what is new or what failed.

Answers are paged, so memory holds a page. A table that is not there yet holds nothing.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imgcls_beam.bigquery import TableName, connect, parse_table, refuse_faults, run_query
from imgcls_beam.elements import Scoring
from imgcls_beam.listing import uri_digest
from imgcls_beam.sinks.history import Kind, KnownRow, Selection

if TYPE_CHECKING:
    from google.cloud import bigquery

_OPTION = "output_table"
_PAGE_ROWS = 10_000

_ATTEMPT = "SELECT attempt FROM `{runs}` WHERE run_id = @run_id ORDER BY finished_at DESC LIMIT 1"
_IMAGES = "SELECT image_uri, image_version FROM `{table}` WHERE run_id = @run_id"
_SCORED = """
SELECT DISTINCT image.image_uri, image.image_version
FROM `{table}` AS image
JOIN `{runs}` AS run ON run.run_id = image.run_id AND run.run_date = image.run_date
WHERE image.status = 'ok' AND image.model_key = @model_key AND run.model_key = @model_key
  AND run.state = 'DONE' AND run.run_id != @except_run
  AND COALESCE(run.parameters.top_k, 0) = @top_k
  AND COALESCE(run.parameters.function_to_apply, '') = @function_to_apply
"""


def find_run(name: TableName, run_id: str) -> str | None:
    """The attempt whose rows stand under a run id; None where there is none.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    rows = _ask(name, _ATTEMPT, {"run_id": run_id})
    return next((attempt for (attempt,) in rows), None)


def read_scored(
    name: TableName, scoring: Scoring, except_run: str = ""
) -> Iterator[tuple[str, str | None]]:
    """URI and version of the images that have a good row.

    Args:
        name: of the table.
        scoring: the model that scored them, and what the job asked of it.
        except_run: a run whose rows do not count; for one that is about to be replaced.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    values: dict[str, str | int] = {
        "model_key": scoring.model.key,
        "except_run": except_run,
        "top_k": scoring.top_k or 0,  # BigQuery has no parameter that is null of any type
        "function_to_apply": scoring.function_to_apply or "",
    }
    return _ask(name, _SCORED, values)


def read_errors(name: TableName, run_id: str) -> Iterator[str]:
    """URIs of the images that failed in a run.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    for uri, _ in _ask(name, f"{_IMAGES} AND status = 'error'", {"run_id": run_id}):
        yield uri


def read_present(name: TableName, run_id: str) -> Iterator[str]:
    """URIs of all images of a run, whatever became of them.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    for uri, _ in _ask(name, _IMAGES, {"run_id": run_id}):
        yield uri


def read_table_marks(selection: Selection) -> Iterator[KnownRow]:
    """What the rows of a selection's table say to its run.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    name = parse_table(str(selection.table))
    if selection.only == "errors":
        for uri in read_errors(name, selection.run_id):
            yield KnownRow(uri_digest(uri), Kind.FAILED, None)
        return
    if selection.if_exists == "append":
        for uri in read_present(name, selection.run_id):
            yield KnownRow(uri_digest(uri), Kind.PRESENT, None)
    if selection.only == "new":
        scored = read_scored(name, selection.scoring, except_run=selection.run_id)
        for uri, version in scored:
            yield KnownRow(uri_digest(uri), Kind.SCORED, version)


def _ask(name: TableName, sql: str, values: Mapping[str, str | int]) -> Iterator[Any]:
    """The answer's rows; none where the table is not there."""
    from google.cloud.bigquery import QueryJobConfig

    client = connect(_OPTION, name)
    config = QueryJobConfig(query_parameters=[_bind(*each) for each in values.items()])
    sql = sql.format(table=name, runs=name.runs)
    with contextlib.suppress(FileNotFoundError), refuse_faults(_OPTION, str(name)):
        yield from run_query(client, sql, config, _PAGE_ROWS)


def _bind(name: str, value: str | int) -> "bigquery.ScalarQueryParameter":
    from google.cloud.bigquery import ScalarQueryParameter

    return ScalarQueryParameter(name, "STRING" if isinstance(value, str) else "INT64", value)
