"""The base of a session: the current record of its run when it began.

A session commits if and only if its base is still current then; of two that began from the same
record, the second one to commit is refused.
"""

import contextlib
import dataclasses
from collections.abc import Iterable

from imgcls_beam.errors import ConfigError, RunExistsError
from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks.record import RecordedFile, RecordedModel, RunRecord, read_record
from imgcls_beam.sinks.run_paths import locate_record
from imgcls_beam.stores import join
from imgcls_beam.stores.compare_and_swap import read_with_etag

NEW, REPLACE, APPEND, ERRORS = "new", "replace", "append", "errors"


@dataclasses.dataclass(frozen=True, slots=True)
class Current:
    """The current record of a run.

    Attributes:
        record: as it was read.
        etag: of its content.
    """

    record: RunRecord
    etag: str


@dataclasses.dataclass(frozen=True, slots=True)
class Base:
    """What a session began from, and what becomes of the rows that are published already.

    Attributes:
        how: `new`: there are none; `replace`: they go; `append`: they stay; `errors`: they stay,
            but for the error rows of images that were tried again.
        session_id: of the record that was current; None for none.
        etag: of that record.
        files: that it named.
    """

    how: str = NEW
    session_id: str | None = None
    etag: str | None = None
    files: tuple[RecordedFile, ...] = ()


def find_current(output: str, run_id: str) -> Current | None:
    """The current record of a run; None where there is none.

    Raises:
        RunExistsError: there is a file in its place that is no record.
    """
    try:
        data, etag = read_with_etag(locate_record(output, run_id))
        return Current(RunRecord.from_json(data), etag)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise make_exists_error(output, run_id) from error


def plan_base(
    output: OutputOptions, current: Current | None, models: Iterable[RecordedModel]
) -> Base:
    """Whether the options allow to publish to this run, and how.

    Raises:
        RunExistsError: the run has been published, and the options say to fail then.
        ConfigError: rows of this job cannot be added to the run, or there is no run to retry.
    """
    folder, retries = str(output.output), output.only == "errors"
    if current is None:
        if retries:
            problem = f"there is no such run below {join(folder, 'runs')}, so nothing to try again"
            raise ConfigError("run_id", output.run_id, problem)
        return Base()
    if output.if_exists == "fail" and not retries:
        raise make_exists_error(folder, output.run_id)
    record = current.record
    if output.if_exists == "append" and record.run_date != output.run_date:
        raise _make_other_error(record, "run_date", str(record.run_date), str(output.run_date))
    if output.if_exists != "replace":
        check_models(record, models)
    how = ERRORS if retries else output.if_exists
    return Base(how, record.session_id, current.etag, record.files)


def check_models(record: RunRecord, models: Iterable[RecordedModel]) -> None:
    """Checks that rows of these models may be added to a run.

    Raises:
        ConfigError: the run has other models, or asked something else of them.
    """
    known = {each.identity for each in record.models}
    for model in models:
        if not known or model.identity in known:
            continue
        same = next((each for each in record.models if each.key == model.key), None)
        if same is None:
            keys = " and ".join(each.key for each in record.models)
            raise _make_other_error(record, "model", keys, model.key)
        for name, given in model.parameters.items():
            if given != same.parameters[name]:
                raise _make_other_error(record, name, same.parameters[name], given)


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


def _make_other_error(record: RunRecord, option: str, has: object, given: object) -> ConfigError:
    problem = f"run {record.run_id} has {has}; give that, or another --run_id"
    return ConfigError(option, given, problem)
