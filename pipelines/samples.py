"""Some rows of a run that has ended: for people, who want to see what they look like."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgcls_beam.sinks import RunRecord
from imgcls_beam.stores import open_store

_COLUMNS = ("image_uri", "status", "top_label", "top_score", "error")
_SHOWN_OK, _SHOWN_ERRORS = 7, 3
_FIRST_ROWS, _ROWS_TOGETHER = 1024, 16_384
_MAX_BATCHES = 64
"""Of rows that are looked through for the first image of each error: about a million."""

StageAndCode = tuple[str, str]
"""Stage and code of an error."""


def read_some_rows(record: RunRecord, output: str) -> list[dict[str, Any]]:
    """Some of the first rows of the first file: good ones, then failures; of an image one."""
    first = next(_read_batches(record, output, _FIRST_ROWS), None)
    rows: dict[str, dict[str, Any]] = {}
    for row in [] if first is None else first.to_pylist():
        rows.setdefault(row["image_uri"], row)  # lines that carry other values may name it again
    good = [row for row in rows.values() if row["status"] == "ok"]
    bad = [row for row in rows.values() if row["status"] == "error"]
    return [*_spread(good, _SHOWN_OK), *_spread(bad, _SHOWN_ERRORS)]


def find_first_errors(record: RunRecord, output: str) -> dict[StageAndCode, str]:
    """The URI of the first image of each error, by the order of the rows."""
    wanted = {(each["stage"], each["code"]) for each in record.summary["errors"]}
    found: dict[StageAndCode, str] = {}
    if not wanted:
        return found
    for index, batch in enumerate(_read_batches(record, output, _ROWS_TOGETHER)):
        failed = batch.filter(pc.equal(batch["status"], "error"))
        for uri, error in zip(failed["image_uri"], failed["error"], strict=True):
            reason = error["stage"].as_py(), error["code"].as_py()
            found.setdefault(reason, uri.as_py())
        if found.keys() >= wanted or index == _MAX_BATCHES:
            break
    return found


def _read_batches(record: RunRecord, output: str, rows: int) -> Iterator[pa.RecordBatch]:
    for each in record.files:
        store, path = open_store("output", f"{output.rstrip('/')}/{each.path}")
        with store.open(path, "rb") as file:
            yield from pq.ParquetFile(file).iter_batches(rows, columns=list(_COLUMNS))


def _spread(rows: Sequence[dict[str, Any]], count: int) -> Sequence[dict[str, Any]]:
    """So many rows from all over a list."""
    return rows[:: max(1, -(-len(rows) // count))]
