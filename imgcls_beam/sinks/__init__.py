"""Where rows go: staging, publishing and the run record."""

from imgcls_beam.sinks.attempts import check_output_writable, clear_attempt
from imgcls_beam.sinks.jsonl import WriteJsonl
from imgcls_beam.sinks.layout import Layout
from imgcls_beam.sinks.lines import JsonlFile, check_jsonl_free, clear_jsonl
from imgcls_beam.sinks.parquet import WriteParquet
from imgcls_beam.sinks.record import RunRecord, check_run_free, read_record

__all__ = [
    "JsonlFile",
    "Layout",
    "RunRecord",
    "WriteJsonl",
    "WriteParquet",
    "check_jsonl_free",
    "check_output_writable",
    "check_run_free",
    "clear_attempt",
    "clear_jsonl",
    "read_record",
]
