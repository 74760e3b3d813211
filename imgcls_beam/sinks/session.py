"""One start of a program that writes a run: begin, stage, commit, abandon, sweep.

::

    begin_session ─▶ Session ─▶ stage (`staged_files`) ─▶ commit_session (`commit`)
                        └────────────────────────────────▶ abandon_session

What is current under the run id is looked up when the session begins, and handed on with it; the
commit checks once more that it still is. A session that was killed is cleared by a later one.
"""

import dataclasses
import datetime
import itertools
from collections.abc import Sequence

from imgcls_beam.errors import ConfigError
from imgcls_beam.options import OutputOptions
from imgcls_beam.scoring import Scoring
from imgcls_beam.sinks.base import (
    ERRORS,
    Base,
    Current,
    find_current,
    make_exists_error,
    plan_base,
)
from imgcls_beam.sinks.leftovers import (
    Note,
    clear_finished,
    clear_session,
    find_sessions,
    parse_run_id,
    write_note,
)
from imgcls_beam.sinks.record import RecordedModel
from imgcls_beam.sinks.run_paths import RunPaths, locate_lock, locate_staging
from imgcls_beam.stores import file_operations
from imgcls_beam.stores.disk_lock import hold_lock

STALE = datetime.timedelta(days=7)
"""A session that has staged nothing for so long is taken for dead, whatever run it belongs to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """What all steps of one session share.

    Attributes:
        paths: where its files lie.
        base: what was current when it began.
        scorings: whose rows are expected; empty where the rows will say.
        started_at: when the program was started, UTC.
        file_bytes: published files have about so many bytes.
        made: folders that it had to make, deepest first.
    """

    paths: RunPaths
    base: Base
    scorings: tuple[Scoring, ...]
    started_at: datetime.datetime
    file_bytes: int
    made: tuple[str, ...] = ()

    @property
    def session_id(self) -> str:
        """Unique to one start of the program."""
        return self.paths.session_id


def make_note(session: Session, moved: Sequence[str] = ()) -> Note:
    """What a session says of itself to those who would have to clear it."""
    replaced = tuple(file.path for file in session.base.files)
    return Note(session.base.session_id, replaced, tuple(moved))


def begin_session(
    output: OutputOptions,
    scorings: Sequence[Scoring] = (),
    started_at: datetime.datetime | None = None,
) -> Session:
    """Begins a session, and clears what dead ones left.

    A runner may call it again for the same session, until that is committed.

    Args:
        output: where rows go, and under which name.
        scorings: whose rows are expected; none where the rows will say.
        started_at: when the program was started, UTC; now where that is not given.

    Raises:
        ConfigError: nothing can be written there, or these options may not be applied to the run
            that is published there (`RunExistsError` where they say to fail then).
    """
    models = check_distinct(scorings)
    paths = RunPaths.of_output(output)
    made = tuple(file_operations.find_missing_folders(paths.staging))
    check_writable(output)
    try:
        sweep_sessions(paths.output)
        with hold_lock(paths.lock):
            current = find_current(paths.output, paths.run_id)
            if current is not None:
                clear_finished(paths.output, current.record)
            base = _plan(output, current, models)
            if base.how == ERRORS and current is not None:  # a retry keeps the run's day
                paths = dataclasses.replace(paths, run_date=current.record.run_date)
            now = started_at or datetime.datetime.now(datetime.UTC)
            session = Session(paths, base, tuple(scorings), now, output.file_bytes, made)
            write_note(paths.staging, make_note(session))
    except BaseException:
        file_operations.prune(locate_staging(paths.output), *made)
        raise
    return session


def _plan(output: OutputOptions, current: Current | None, models: Sequence[RecordedModel]) -> Base:
    if current is not None and current.record.session_id == output.session_id:
        raise make_exists_error(str(output.output), output.run_id)  # its names are taken
    return plan_base(output, current, models)


def check_distinct(scorings: Sequence[Scoring]) -> tuple[RecordedModel, ...]:
    """The models of scorings, of which each asks one thing: an image has one row of a model.

    Raises:
        ConfigError: two of them ask different things of one model.
    """
    models = RecordedModel.of_scorings(scorings)
    for one, other in itertools.pairwise(models):
        if one.key == other.key:
            problem = f"a run has one row an image and model, but there are {one} and {other}"
            raise ConfigError("model", one.key, f"{problem}; give each a run of its own")
    return models


def check_writable(output: OutputOptions) -> None:
    """Writes and removes a small object in the staging folder, and leaves nothing behind.

    Raises:
        ConfigError: nothing can be written there.
    """
    paths = RunPaths.of_output(output)
    with file_operations.refuse_unwritable("output", paths.output):
        file_operations.try_folder(paths.staging)


def abandon_session(session: Session) -> None:
    """Removes what a session staged and moved, unless it is committed, and empty folders it made.

    It may be called again, and after the commit: then nothing is left to remove.
    """
    abandon_paths(session.paths)
    file_operations.prune(*session.made)


def abandon_paths(paths: RunPaths) -> None:
    """`abandon_session` of whatever session wrote to these paths."""
    _clear(paths.output, paths.staging)


def sweep_sessions(output: str, now: datetime.datetime | None = None) -> None:
    """Clears sessions that have staged nothing for `STALE`, of whatever run.

    Args:
        output: the folder of all runs.
        now: for tests.
    """
    oldest = (now or datetime.datetime.now(datetime.UTC)) - STALE
    for staging in find_sessions(output):
        written_at = file_operations.find_last_write(staging)
        if written_at is not None and written_at < oldest:
            _clear(output, staging)


def _clear(output: str, staging: str) -> None:
    run_id, root = parse_run_id(staging), locate_staging(output)
    made = file_operations.find_missing_folders(root)
    with hold_lock(locate_lock(output, run_id)):  # none moves files meanwhile
        current = find_current(output, run_id)
        clear_session(output, staging, current.record if current else None)
    file_operations.prune(root, *made)
