"""What a job does for its BigQuery table, before and after its rows are published."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from imgcls_beam.errors import ConfigError
from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks import RunRecord, locate_record, read_record
from imgcls_beam.warehouse import WriteTable, ensure_tables, find_run, load_run, parse_table

_NONE_STANDS = ""


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


def check_table(output: OutputOptions) -> None:
    """Makes the tables where they are not there, and checks that the run may go into them.

    Raises:
        ConfigError: a name that is none, no way to BigQuery, a table of other columns, or a run
            that stands there and may not be replaced.
    """
    if output.table is None:
        return
    name = parse_table(output.table)
    if output.is_scratch and (output.only == "errors" or output.if_exists == "append"):
        option = "only" if output.only == "errors" else "if_exists"
        problem = "rows are added to a run by its Parquet files; give its --output too"
        raise ConfigError(option, getattr(output, option), problem)
    ensure_tables(name)
    if output.is_scratch and output.if_exists == "fail" and find_run(name, output.run_id):
        problem = f"this run stands in {name}; give another --run_id, or --if_exists=replace"
        raise ConfigError("run_id", output.run_id, problem)


def finish_load(output: OutputOptions) -> RunRecord | None:
    """Loads a run that is published and did not reach its table, because its program died.

    Returns:
        Its record; None where there is nothing of the kind to do.

    Raises:
        PublishError: it cannot be loaded.
    """
    if output.table is None or output.output is None or output.is_scratch:
        return None
    if output.if_exists != "fail" or output.only == "errors":
        return None
    name = parse_table(output.table)
    try:
        record = read_record(locate_record(output.output, output.run_id))
    except ValueError:
        return None
    if find_run(name, output.run_id) == record.session_id:
        return None
    load_run(name, output.output, record)
    return record


def make_writer(output: OutputOptions, is_local: bool) -> WriteTable | None:
    """The step that loads the published run; None where there is no table."""
    if output.table is None or output.output is None:
        return None
    name = parse_table(output.table)
    expected = None
    if output.is_scratch:
        expected = find_run(name, output.run_id) or _NONE_STANDS
        expected = _NONE_STANDS if output.if_exists == "fail" else expected
    removes = output.is_scratch and not is_local
    return WriteTable(name, output.output, expected, removes)
