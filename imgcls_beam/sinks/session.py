"""One start of a program that writes a run: begin, stage, commit, abandon, sweep.

::

    begin_session ─▶ Session ─▶ stage (`staged_files`) ─▶ commit_session (`commit`)
                        └────────────────────────────────▶ abandon_session

What is current under the run id is looked up when the session begins, and handed on with it; the
commit checks once more that it still is. A session that was killed is cleared by a later one.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from imgcls_beam.errors import ConfigError, RunExistsError
from imgcls_beam.options import OutputOptions
from imgcls_beam.scoring import Scoring
from imgcls_beam.sinks.leftovers import (
    Note,
    abandon_staging,
    clear_run,
    give_up_note,
    keep_from_publishing,
    read_note_with_etag,
    sweep_sessions,
    write_note,
)
from imgcls_beam.sinks.record import (
    Current,
    RunRecord,
    check_same_models,
    find_current,
    make_exists_error,
    make_other_error,
    read_record_in,
)
from imgcls_beam.sinks.record_parts import RecordedFile, RecordedModel, check_distinct
from imgcls_beam.sinks.run_paths import RUNS, STAGING, TAG_CHARS, RunPaths
from imgcls_beam.stores.client_faults import ask
from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.local_folder import remove_empty
from imgcls_beam.stores.opening import open_folder

NEW, REPLACE, APPEND, ERRORS = "new", "replace", "append", "errors"


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


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """What all steps of one session share.

    Attributes:
        folder: the output, of all runs.
        paths: where its files lie in it.
        base: what was current when it began.
        scorings: whose rows are expected; empty where the rows will say.
        started_at: when the program was started, UTC.
        file_bytes: published files have about so many bytes.
        made: local folders that it had to make, deepest first.
    """

    folder: Folder
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

    def read_record(self) -> RunRecord:
        """`record.read_record` of what is published under its run's name."""
        return read_record_in(self.folder, self.paths.record)


def make_note(session: Session, moved: Sequence[str] = ()) -> Note:
    """What a session says of itself to those who would have to clear it."""
    replaced = tuple(file.path for file in session.base.files)
    return Note(session.base.session_id, replaced, tuple(moved))


def is_committed(session: Session) -> bool | None:
    """Whether this very session has committed its rows; None where its store does not say."""
    current = ask(lambda: find_current(session.folder, session.paths.run_id))
    if isinstance(current, RunExistsError):  # what is there is no record
        return False
    if isinstance(current, Exception):
        return None
    return current is not None and current.record.session_id == session.session_id


def keep_unpublished(session: Session) -> bool:
    """Whether this process has not begun to publish a session, and never will; asks no store."""
    return keep_from_publishing(session.folder, session.paths.staging)


def give_up(session: Session) -> bool:
    """Takes from a session its licence to commit, for good, and leaves all else as it is.

    Returns:
        Whether it can no longer commit: false where it has begun to move its files to their places.
    """
    folder, staging = session.folder, session.paths.staging
    note, etag = read_note_with_etag(folder, staging)
    if etag is None or (note is not None and note.moved):
        return etag is None
    with folder.hold_lock(session.paths.lock):
        return give_up_note(folder, staging)


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
    folder, paths = open_output(output)
    made = folder.find_missing_folders(paths.staging)
    now = started_at or datetime.datetime.now(datetime.UTC)
    try:
        folder.check_writable(paths.staging)
        sweep_sessions(folder)
        with folder.hold_lock(paths.lock):
            current = clear_run(folder, paths.run_id)
            base = _plan_base(output, folder, current, models)
            if base.how == ERRORS and current is not None:  # a retry keeps the run's day
                paths = dataclasses.replace(paths, run_date=current.record.run_date)
            shared = tuple(scorings), now, output.file_bytes, tuple(made)
            session = Session(folder, paths, base, *shared)
            with folder.refuse_unwritable():  # the disk may be full
                write_note(folder, paths.staging, make_note(session))
    except BaseException:
        folder.prune(STAGING)
        remove_empty(*made)
        raise
    return session


def check_allowed(output: OutputOptions, scorings: Sequence[Scoring] = ()) -> None:
    """Looks whether a session could begin with these options, as far as reading tells.

    Raises:
        ConfigError: these options may not be applied to the run that is published there
            (`RunExistsError` where they say to fail then), or its store cannot be opened.
    """
    folder, paths = open_output(output)
    with folder.refuse_unwritable():
        current = find_current(folder, paths.run_id)
    _plan_base(output, folder, current, check_distinct(scorings))


def open_output(output: OutputOptions) -> tuple[Folder, RunPaths]:
    """Opens the folder of all runs; with the paths in it of this one.

    Raises:
        ConfigError: there is no folder for rows, or its store cannot be opened.
    """
    if output.output is None:
        raise ConfigError("output", None, "give the folder for the rows")
    folder = open_folder("output", output.output)
    # Where a lock keeps other sessions away, a first run finds no file under its names.
    is_alone = folder.has_lock and output.if_exists == "fail" and output.only != "errors"
    tag = "" if is_alone else output.session_id[:TAG_CHARS]
    return folder, RunPaths(output.run_id, output.run_date, output.session_id, tag)


def _plan_base(
    output: OutputOptions, folder: Folder, current: Current | None, models: Sequence[RecordedModel]
) -> Base:
    """Whether the options allow to publish to this run, and how."""
    retries = output.only == "errors"
    if current is None:
        if retries:
            problem = f"there is no such run below {folder.url_of(RUNS)}, so nothing to try again"
            raise ConfigError("run_id", output.run_id, problem)
        return Base()
    record = current.record
    is_refused = output.if_exists == "fail" and not retries
    if is_refused or record.session_id == output.session_id:  # then its names are taken
        raise make_exists_error(folder, output.run_id)
    if output.if_exists == "append" and record.run_date != output.run_date:
        raise make_other_error(record, "run_date", str(record.run_date), str(output.run_date))
    if output.if_exists != "replace":
        check_same_models(record, models)
    how = ERRORS if retries else output.if_exists
    return Base(how, record.session_id, current.etag, record.files)


def check_writable(output: OutputOptions) -> None:
    """`Folder.check_writable` of the staging folder."""
    open_output(output)[0].check_writable(STAGING)


def find_missing_folders(output: OutputOptions) -> list[str]:
    """Local folders that a session would have to make, deepest first."""
    folder, paths = open_output(output)
    return folder.find_missing_folders(paths.staging)


def abandon_output(output: OutputOptions, made: Sequence[str] = ()) -> None:
    """`abandon_session` of whatever session began with these options, however far it came.

    Args:
        output: where rows go, and under which name.
        made: local folders that were not there before, deepest first.
    """
    folder, paths = open_output(output)
    abandon_staging(folder, paths.staging)
    folder.prune(STAGING)
    remove_empty(*made)


def abandon_session(session: Session) -> None:
    """Removes what a session staged and moved, unless it is committed, and empty folders it made.

    It may be called again, and after the commit: then nothing is left to remove.
    """
    abandon_staging(session.folder, session.paths.staging)
    remove_empty(*session.made)
