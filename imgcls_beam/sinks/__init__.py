"""Where rows go: staging, publishing and the run record."""

from imgcls_beam.sinks.attempts import (
    begin_attempt,
    check_attempt,
    check_output_writable,
    clear_attempt,
)
from imgcls_beam.sinks.jsonl import WriteJsonl
from imgcls_beam.sinks.layout import Layout
from imgcls_beam.sinks.lines import JsonlFile, check_jsonl_free, clear_jsonl
from imgcls_beam.sinks.parquet import WriteParquet
from imgcls_beam.sinks.published import Selection
from imgcls_beam.sinks.record import RunRecord, read_record
from imgcls_beam.sinks.recorded import RecordedFile, RecordedPublication
from imgcls_beam.sinks.store import remove_folder as remove_output
from imgcls_beam.sinks.succession import check_run_free, find_standing, make_exists_error

__all__ = [
    "JsonlFile",
    "Layout",
    "RecordedFile",
    "RecordedPublication",
    "RunRecord",
    "Selection",
    "WriteJsonl",
    "WriteParquet",
    "begin_attempt",
    "check_attempt",
    "check_jsonl_free",
    "check_output_writable",
    "check_run_free",
    "clear_attempt",
    "clear_jsonl",
    "find_standing",
    "make_exists_error",
    "read_record",
    "remove_output",
]
