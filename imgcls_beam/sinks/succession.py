"""What stands under a run id, and who may publish after it.

An attempt is begun upon what stands when the program starts: nothing, or the record of an earlier
attempt. It commits if and only if that still stands then; whoever comes second has lost.
"""

import contextlib
import dataclasses

from imgcls_beam.errors import ConfigError, RunExistsError
from imgcls_beam.options import OutputOptions
from imgcls_beam.rows import RunContext
from imgcls_beam.sinks.layout import Layout, join, locate_record
from imgcls_beam.sinks.record import RunRecord, read_record
from imgcls_beam.sinks.swapping import read_marked

NEW, REPLACE, APPEND, ERRORS = "new", "replace", "append", "errors"


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """The record that stands under a run id.

    Attributes:
        record: as it was read.
        mark: the store's mark of its content.
    """

    record: RunRecord
    mark: str


@dataclasses.dataclass(frozen=True, slots=True)
class Succession:
    """What an attempt is begun upon, and what becomes of the rows that stand.

    Attributes:
        how: `new`: there are none; `replace`: they go; `append`: they stay; `errors`: they stay,
            but for the error rows of images that were tried again.
        base: the attempt whose record stood when the program was started; None for none.
        files: what that record named, relative to the output.
    """

    how: str = NEW
    base: str | None = None
    files: tuple[str, ...] = ()


def find_standing(output: str, run_id: str) -> Standing | None:
    """The record under a run id; None where there is none.

    Raises:
        RunExistsError: something stands there that is no record.
    """
    try:
        data, mark = read_marked(locate_record(output, run_id))
        return Standing(RunRecord.from_json(data), mark)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise make_exists_error(output, run_id) from error


def plan_succession(output: OutputOptions, run: RunContext) -> Succession:
    """Looks at what stands, and whether the options allow to publish upon it.

    Raises:
        RunExistsError: the run has been published, and the options say to fail then.
        ConfigError: rows of this job cannot be added to the run, or there is no run to retry.
    """
    folder = str(output.output)
    standing = find_standing(folder, output.run_id)
    retries = output.only == "errors"
    if standing is None:
        if retries:
            problem = f"there is no such run below {join(folder, 'runs')}, so nothing to try again"
            raise ConfigError("run_id", output.run_id, problem)
        return Succession()
    if output.if_exists == "fail" and not retries:
        raise make_exists_error(folder, output.run_id)
    how = ERRORS if retries else output.if_exists
    if how != REPLACE:
        _check_same_kind(standing.record, run)
    files = tuple(file.path for file in standing.record.files)
    return Succession(how, standing.record.attempt, files)


def check_run_free(output: str, run_id: str) -> None:
    """Checks that a run id has not been published.

    Raises:
        RunExistsError: it has; the message names the ways out.
    """
    if find_standing(output, run_id) is not None:
        raise make_exists_error(output, run_id)


def make_exists_error(output: str, run_id: str) -> RunExistsError:
    """The error for a run id that is taken, with what would have to be deleted to free it."""
    url = locate_record(output, run_id)
    folders = {join(output, "predictions", "*", "*", f"run_id={run_id}")}
    with contextlib.suppress(OSError, ValueError):  # an unreadable record takes the run id too
        folders = {join(output, file.path.rpartition("/")[0]) for file in read_record(url).files}
    places = " and ".join((url, *sorted(folders)))
    problem = (
        "this run has been published; give another --run_id, or --if_exists=replace or append, "
        f"or delete {places}"
    )
    return RunExistsError("run_id", run_id, problem)


def make_overtaken_error(layout: Layout) -> RunExistsError:
    """The error for an attempt that comes second."""
    problem = "another attempt at this run was published meanwhile; nothing of this one was"
    return RunExistsError("run_id", layout.run_id, problem)


def _check_same_kind(record: RunRecord, run: RunContext) -> None:
    """One run has one model, one set of parameters and one day.

    Raises:
        ConfigError: the run that stands has others.
    """
    wanted = {"top_k": run.top_k, "function_to_apply": run.function_to_apply}
    for option, stands, given in (
        ("model", record.model["key"], run.model_key),
        ("run_date", record.run_date.isoformat(), run.run_date.isoformat()),
        *((name, record.parameters[name], wanted[name]) for name in wanted),
    ):
        if stands != given:
            named = f"{record.model['id']}, {stands}" if option == "model" else stands
            problem = f"run {record.run_id} has {named}; give that, or another --run_id"
            raise ConfigError(option, given, problem)
