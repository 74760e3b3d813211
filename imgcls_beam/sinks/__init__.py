"""Where rows go: staging, publishing and the run record."""

from imgcls_beam.sinks.attempts import check_output_writable, clear_attempt
from imgcls_beam.sinks.layout import Layout
from imgcls_beam.sinks.parquet import WriteParquet
from imgcls_beam.sinks.record import RunRecord, check_run_free, read_record

__all__ = [
    "Layout",
    "RunRecord",
    "WriteParquet",
    "check_output_writable",
    "check_run_free",
    "clear_attempt",
    "read_record",
]
