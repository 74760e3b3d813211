"""What sessions that died left behind, and how it is removed.

A session leaves a note in its staging folder: what it began from, and which files it moves where.
If it dies, a later session removes what it moved and did not commit, or what it replaced and did
not remove.
"""

import dataclasses
import datetime
import json
import re
import threading
from collections.abc import Iterator

from imgcls_beam.errors import PublishError
from imgcls_beam.sinks.record import Current, RunRecord, find_current
from imgcls_beam.sinks.run_paths import RUNS, STAGING, name_lock
from imgcls_beam.stores import ask
from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.local_folder import remove_empty

NOTE = "session.json"
STALE = datetime.timedelta(days=7)
"""A session that has staged nothing for so long is taken for dead, whatever run it belongs to."""
_STAGING = re.compile(r"(?P<run_id>.+)-[0-9a-f]{32}")
_FILE = r"predictions/run_date=[^/]+/model=[^/]+/run_id={}/part-[0-9a-f-]+of-[0-9a-f-]+\.parquet"


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """What a session says of itself. Files are relative to the output.

    Attributes:
        base: the session whose record was current when it began; None for none.
        replaced: what that record named.
        moved: what it moves to its final path, once that is known.
        is_given_up: it may no longer move anything: its run was interrupted or has failed.
    """

    base: str | None
    replaced: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    is_given_up: bool = False


_ABANDONED: set[str] = set()
"""Staging folders that this process has cleared, by URL, and has not begun again."""
_PUBLISHING: set[str] = set()
"""Staging folders out of which this process has begun to publish, by URL."""
_STEPS = threading.Lock()
"""Of the step from the one to the other."""


def check_staging(folder: Folder, staging: str) -> None:
    """Looks whether a file may still be staged: threads may be at work for a job that was stopped.

    Raises:
        PublishError: this process has abandoned the session, and would leave the file.
    """
    if folder.url_of(staging) in _ABANDONED:
        raise PublishError(f"{folder.url_of(staging)} was abandoned meanwhile")


def begin_to_publish(folder: Folder, staging: str) -> None:
    """Notes that this process publishes what a session has staged.

    Raises:
        PublishError: it has abandoned the session, or said that it does not publish.
    """
    with _STEPS:
        check_staging(folder, staging)
        _PUBLISHING.add(folder.url_of(staging))


def keep_from_publishing(folder: Folder, staging: str) -> bool:
    """Whether this process has not begun to publish what a session has staged, and never will."""
    with _STEPS:
        _ABANDONED.add(folder.url_of(staging))
        return folder.url_of(staging) not in _PUBLISHING


def write_note(folder: Folder, staging: str, note: Note) -> None:
    """Writes a session's note."""
    _ABANDONED.discard(folder.url_of(staging))
    folder.write(f"{staging}/{NOTE}", _encode(note))


def swap_note(folder: Folder, staging: str, note: Note, etag: str) -> None:
    """Writes a session's note if it still is what was read.

    Raises:
        FileExistsError: it is another one now, or gone.
    """
    folder.swap(f"{staging}/{NOTE}", _encode(note), etag, f"{staging}/note")


def read_note(folder: Folder, staging: str) -> Note | None:
    """The note of a session; None where there is none, or where it was killed while writing it."""
    return read_note_with_etag(folder, staging)[0]


def read_note_with_etag(folder: Folder, staging: str) -> tuple[Note | None, str | None]:
    """`read_note`, and the etag of what is there in its place; None where nothing is.

    What it names is removed, so it is not believed where it names a file of another run.
    """
    try:
        data, etag = folder.read_with_etag(f"{staging}/{NOTE}")
    except FileNotFoundError:
        return None, None
    try:
        fields = json.loads(data)
        listed = tuple(fields["replaced"]), tuple(fields["moved"])
        note = Note(fields["base"], *listed, fields.get("is_given_up") is True)
        own = re.compile(_FILE.format(re.escape(parse_run_id(staging))))
        is_own = all(map(own.fullmatch, (*note.replaced, *note.moved)))
    except (ValueError, KeyError, TypeError):
        return None, etag
    return (note if is_own else None), etag


def give_up_note(folder: Folder, staging: str) -> bool:
    """Takes from a session its licence to commit, for good, unless it uses it now.

    Returns:
        Whether it can no longer commit. If not, it has begun to move its files.
    """
    note, etag = read_note_with_etag(folder, staging)
    if etag is None or (note is not None and note.is_given_up):
        return True
    if note is not None and note.moved:
        return False
    given_up = dataclasses.replace(note or Note(None), is_given_up=True)
    try:
        swap_note(folder, staging, given_up, etag)
    except FileExistsError:
        return False  # it has begun just now, or somebody clears it
    return True


def _encode(note: Note) -> bytes:
    return json.dumps(dataclasses.asdict(note)).encode()


def sweep_sessions(folder: Folder, now: datetime.datetime | None = None) -> None:
    """Clears sessions that have staged nothing for `STALE`, of whatever run.

    Args:
        folder: the output, of all runs.
        now: for tests.
    """
    oldest = (now or datetime.datetime.now(datetime.UTC)) - STALE
    for staging in find_sessions(folder, unwritten_since=oldest):
        abandon_staging(folder, staging)


def abandon_staging(folder: Folder, staging: str) -> None:
    """Clears a session, whoever began it; what it has committed stays."""
    _ABANDONED.add(folder.url_of(staging))
    run_id, made = parse_run_id(staging), folder.find_missing_folders(STAGING)
    with folder.hold_lock(name_lock(run_id)):  # none moves files meanwhile
        # Nor where there are no locks, unless it does already. A disk that is full takes no note.
        ask(lambda: give_up_note(folder, staging))
        current = find_current(folder, run_id)
        clear_session(folder, staging, current.record if current else None)
    folder.prune(STAGING)
    remove_empty(*made)


def find_sessions(
    folder: Folder, run_id: str | None = None, unwritten_since: datetime.datetime | None = None
) -> list[str]:
    """The staging folders of a run, or of all runs; of these, see `Folder.list_folders`."""
    found = map(_STAGING.fullmatch, folder.list_folders(STAGING, unwritten_since))
    return [f"{STAGING}/{each[0]}" for each in found if each and run_id in (None, each["run_id"])]


def parse_run_id(staging: str) -> str:
    """The run of a staging folder."""
    found = _STAGING.fullmatch(staging.rpartition("/")[2])
    return found["run_id"] if found else ""


def clear_run(folder: Folder, run_id: str) -> Current | None:
    """`clear_finished` of the current record of a run, which is given; None where there is none.

    Raises:
        RunExistsError: there is a file in its place that is no record.
    """
    current = find_current(folder, run_id)
    if current is not None:
        clear_finished(folder, current.record)
    return current


def clear_finished(folder: Folder, record: RunRecord) -> None:
    """Clears each session of a run that can no longer commit.

    Those can that began from `record`, its current one.
    """
    for staging in find_sessions(folder, record.run_id):
        note = read_note(folder, staging)
        if note is None or note.base != record.session_id:
            clear_session(folder, staging, record)


def clear_session(folder: Folder, staging: str, record: RunRecord | None) -> None:
    """Removes what a session staged, moved and made, but for what the current record names."""
    note = read_note(folder, staging)
    if note is not None:
        roll_back(folder, note, record)
    folder.remove_below(staging)
    folder.prune(STAGING)


def roll_back(folder: Folder, note: Note, record: RunRecord | None) -> None:
    """Removes the files that a note names and the current record does not."""
    kept = {file.path for file in record.files} if record else set()
    is_replaced = record is not None and record.session_id != note.base
    named = (*note.moved, *(note.replaced if is_replaced else ()))
    gone = [path for path in dict.fromkeys(named) if path not in kept]
    folder.remove(*gone)
    folder.prune(*_climb(gone), RUNS)


def _climb(paths: list[str]) -> Iterator[str]:
    """The folders of files and those above them, deepest first."""
    folders: dict[str, None] = {}
    for path in paths:
        while path := path.rpartition("/")[0]:
            folders[path] = None
    return iter(sorted(folders, key=lambda folder: -folder.count("/")))
