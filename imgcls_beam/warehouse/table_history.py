"""Rows of earlier runs in the tables, for a run that wants only what is new or what failed.

Answers are paged, so memory holds a page. A table that is not there yet holds nothing.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from imgcls_beam.bigquery import (
    OUTPUT_OPTION,
    TableName,
    connect,
    parse_table,
    refuse_faults,
    run_query,
)
from imgcls_beam.scoring import Scoring
from imgcls_beam.sinks.history import Kind, KnownRow, Selection

_PAGE_ROWS = 10_000

_IMAGES = """
SELECT image_uri, attributes FROM `{table}` WHERE run_id = @run_id AND @status IN ('', status)
"""
# A run of several models has all their keys, and no parameters: what was asked is not known.
_SCORED = """
SELECT DISTINCT image.image_uri, image.image_version
FROM `{table}` AS image
JOIN `{runs}` AS run ON run.run_id = image.run_id AND run.run_date = image.run_date
WHERE image.status = 'ok' AND image.model_key = @model_key
  AND run.model_key = image.model_key
  AND run.state = 'DONE' AND run.run_id != @except_run
  AND COALESCE(run.parameters.top_k, 0) = @top_k
  AND COALESCE(run.parameters.function_to_apply, '') = @function_to_apply
  AND COALESCE(JSON_VALUE(run.configuration, '$.decode.preprocess'), 'exact') = @preprocess
"""


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
    return _ask(
        name,
        _SCORED,
        model_key=scoring.model.key,
        except_run=except_run,
        top_k=scoring.top_k or 0,
        function_to_apply=scoring.function_to_apply or "",
        preprocess=scoring.preprocess,
    )


def read_images(name: TableName, run_id: str, status: str = "") -> Iterator[tuple[str, str | None]]:
    """URI and attributes of the references of a run; with a status, of those that have it.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    return _ask(name, _IMAGES, run_id=run_id, status=status)


def read_table_history(selection: Selection) -> Iterator[KnownRow]:
    """What is known of images by the rows of a selection's table.

    Raises:
        ConfigError: BigQuery refuses to say.
    """
    name, run_id = parse_table(str(selection.table)), selection.run_id
    is_retry = selection.only == "errors"
    if is_retry or selection.if_exists == "append":
        kind, status = (Kind.FAILED, "error") if is_retry else (Kind.PRESENT, "")
        for row in read_images(name, run_id, status):
            yield KnownRow.of_row(kind, *row)
    if selection.only == "new":
        replaced = "" if selection.if_exists == "append" else run_id
        for row in read_scored(name, selection.scoring, except_run=replaced):
            yield KnownRow.of_row(Kind.SCORED, *row)


def _ask(name: TableName, sql: str, **values: str | int) -> Iterator[Any]:
    """The answer's rows; none where the table is not there."""
    client = connect(OUTPUT_OPTION, name)
    sql = sql.format(table=name, runs=name.runs)
    with contextlib.suppress(FileNotFoundError), refuse_faults(OUTPUT_OPTION, str(name)):
        yield from run_query(client, sql, values, _PAGE_ROWS)
