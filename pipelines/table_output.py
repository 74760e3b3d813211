"""What a job does for its BigQuery table, before and after its rows are published."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from imgcls_beam.errors import ConfigError
from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks import RunRecord, locate_record, read_record
from imgcls_beam.warehouse import (
    CurrentRun,
    WriteTable,
    ensure_tables,
    find_run,
    load_run,
    parse_table,
)


@contextlib.contextmanager
def scratch_output(
    output: OutputOptions, options: PipelineOptions, is_local: bool
) -> Iterator[OutputOptions]:
    """The output with a folder for the rows, where there is only a table to write to.

    Raises:
        ConfigError: workers elsewhere need a place that they share with BigQuery.
    """
    if output.table is None or output.output is not None:
        yield output
    elif is_local:
        with tempfile.TemporaryDirectory(prefix="imgcls-") as folder:
            yield dataclasses.replace(output, output=folder, is_scratch=True)
    else:
        root = options.view_as(GoogleCloudOptions).temp_location
        if root is None:
            problem = "its rows are staged first; give --temp_location=gs://…, or --output=DIR"
            raise ConfigError("output_table", output.table, problem)
        folder = f"{root.rstrip('/')}/imgcls-{output.run_id}-{output.session_id}"
        yield dataclasses.replace(output, output=folder, is_scratch=True)


def begin_table(output: OutputOptions) -> CurrentRun:
    """Makes the tables where they are absent, and finds what they hold under the run's id.

    Raises:
        ConfigError: the table's name is wrong, BigQuery does not answer, the table has other
            columns, or it holds the run, which may not be replaced.
    """
    if output.table is None:
        return CurrentRun()
    name = parse_table(output.table)
    if output.is_scratch and (output.only == "errors" or output.if_exists == "append"):
        option = "only" if output.only == "errors" else "if_exists"
        problem = "rows are added to a run by its Parquet files; give its --output too"
        raise ConfigError(option, getattr(output, option), problem)
    ensure_tables(name)
    current = find_run(name, output.run_id)
    if output.is_scratch and output.if_exists == "fail" and current.session_id:
        problem = f"this run is in {name}; give another --run_id, or --if_exists=replace"
        raise ConfigError("run_id", output.run_id, problem)
    return current


def finish_load(output: OutputOptions, current: CurrentRun) -> RunRecord | None:
    """Loads a run that was published and did not reach its table, because its program died.

    Args:
        output: of the job.
        current: what the table holds under the run's id.

    Returns:
        The run's record; None where there is no such run to load.

    Raises:
        PublishError: it cannot be loaded.
    """
    is_new = output.if_exists == "fail" and output.only != "errors"
    if output.table is None or output.output is None or output.is_scratch or not is_new:
        return None
    try:
        record = read_record(locate_record(output.output, output.run_id))
    except ValueError:
        return None
    if record.session_id == current.session_id:
        return None
    load_run(parse_table(output.table), output.output, record)
    return record


def make_writer(output: OutputOptions, current: CurrentRun, is_local: bool) -> WriteTable | None:
    """The step that loads the published run; None where there is no table.

    Records in a folder decide which session is the later. A table alone is its own record: the
    session that it held when the job began is the only one that may be replaced.
    """
    if output.table is None or output.output is None:
        return None
    expected = current.session_id if output.is_scratch else None
    removes = output.is_scratch and not is_local
    return WriteTable(parse_table(output.table), output.output, expected, removes)
