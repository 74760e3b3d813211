"""What was published below an output, as a reader sees it who follows the run record."""

import json
from typing import Any

import pyarrow.parquet as pq

from imgcls_beam.stores import open_folder

Rows = dict[str, dict[str, Any]]


def read_record(output: str, run_id: str = "r1") -> dict[str, Any] | None:
    """None where there is none."""
    try:
        data, _ = open_folder("output", output).read_with_etag(f"runs/{run_id}.json")
    except FileNotFoundError:
        return None
    record: dict[str, Any] = json.loads(data)
    return record


def read_rows(output: str, run_id: str = "r1") -> Rows:
    """The rows that the record names, by the end of their URIs; each image has one."""
    folder, record = open_folder("output", output), read_record(output, run_id)
    assert record is not None
    rows: list[dict[str, Any]] = []
    for file in record["files"]:
        with folder.open_existing(file["path"]) as source:
            rows += pq.read_table(source).to_pylist()
    assert len(rows) == record["counts"]["listed"]
    return {row["image_uri"].partition("/photos/")[2]: row for row in rows}


def list_folders(output: str) -> list[str]:
    """What lies directly below: no more than `predictions` and `runs`, after a run."""
    return open_folder("output", output).list_folders("")
