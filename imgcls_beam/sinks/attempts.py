"""The staging folders: one per start of the program, and what a killed start leaves behind.

An attempt leaves a note in its staging folder: upon what it was begun, where its files will go and
under which names. If it dies, whoever comes later takes away what it moved there and did not
commit, or what it committed and did not clear up.
"""

import dataclasses
import datetime
import json
import re
from collections.abc import Sequence

from imgcls_beam.options import OutputOptions
from imgcls_beam.rows import RunContext
from imgcls_beam.sinks import store
from imgcls_beam.sinks.layout import NOTE, TAG_CHARS, Layout, join, locate_lock
from imgcls_beam.sinks.record import RunRecord
from imgcls_beam.sinks.succession import Succession, find_standing, plan_succession

STALE = datetime.timedelta(days=7)
"""An attempt that has staged nothing for so long is taken for dead, whatever run it belongs to."""

_STAGING = re.compile(r"(?P<run_id>.+)-(?P<attempt>[0-9a-f]{32})")
_PART = re.compile(r"part-\d{5,}-of-\d{5,}(?:-(?P<tag>[0-9a-f]+))?\.parquet")


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """What an attempt says of itself.

    Attributes:
        folder: where its parts go, relative to the output.
        tag: in the names of its parts.
        base: upon which attempt's record it was begun; None for none.
        files: what that record named, relative to the output.
    """

    folder: str
    tag: str
    base: str | None
    files: tuple[str, ...]


def check_attempt(output: OutputOptions, run: RunContext) -> Layout:
    """Checks that a run may be published, and clears what dead attempts left.

    Returns:
        Where the attempt will write.

    Raises:
        ConfigError: nothing can be written there, or these options may not be published upon what
            stands (`RunExistsError` where the options say to fail then).
    """
    layout = Layout.of_run(output, run)
    check_output_writable(layout)
    clear_losers(layout.output, layout.run_id)
    sweep(layout.output)
    plan_succession(output, run)
    return layout


def begin_attempt(output: OutputOptions, run: RunContext) -> list[str]:
    """Leaves the attempt's note; whatever it leaves is for `clear_attempt` to remove.

    Returns:
        The folders that had to be made for it, deepest first.

    Raises:
        ConfigError: see `check_attempt`.
    """
    layout, succession = Layout.of_run(output, run), plan_succession(output, run)
    made = store.find_missing_folders(layout.staging)
    leave_note(layout, succession)
    return made


def check_output_writable(layout: Layout) -> None:
    """Writes and removes a small object in the staging folder, and leaves nothing behind.

    Raises:
        ConfigError: nothing can be written there.
    """
    with store.refuse_unwritable("output", layout.output):
        store.try_folder(layout.staging)


def leave_note(layout: Layout, succession: Succession) -> None:
    """Writes the note; to be called before the first file is moved, best at the very start."""
    folder = layout.make_relative(layout.run_folder)
    note = Note(folder, layout.tag, succession.base, succession.files)
    store.write_file(layout.note, json.dumps(dataclasses.asdict(note)).encode())


def clear_attempt(layout: Layout, made: Sequence[str] = ()) -> None:
    """Removes what this attempt staged, what it published by halves, and folders left empty.

    Args:
        layout: of the attempt.
        made: as `begin_attempt` gave them: they go too, as far as they are empty.
    """
    with store.hold_lock(layout.lock):  # else it might meet one that is moving its files
        standing = find_standing(layout.output, layout.run_id)
        _clear(layout.output, layout.staging, standing.record if standing else None)
    model_folder = layout.run_folder.rpartition("/")[0]
    date_folder = model_folder.rpartition("/")[0]
    store.prune(layout.staging_root, layout.run_folder, model_folder, date_folder)
    store.prune(layout.predictions, layout.runs, *made)


def withdraw_others(layout: Layout, record: RunRecord | None, own: Sequence[str]) -> None:
    """Takes away what other attempts at this run published by halves.

    To be called under the lock of the run, before the commit: so all of these attempts are dead.

    Args:
        layout: of this attempt.
        record: what stands.
        own: the parts of this attempt, relative to the output: an earlier try may have moved them.
    """
    for staging in _find_others(layout):
        _withdraw(layout.output, staging, record, own)


def clear_others(layout: Layout, record: RunRecord) -> None:
    """Removes what other attempts at this run staged and moved, but for those begun upon `record`.

    Args:
        layout: of this attempt.
        record: what stands: all other attempts have lost, or were committed before it.
    """
    for staging in _find_others(layout):
        note = _read_note(staging, layout.run_id)
        if note is None or note.base != record.attempt:
            _clear(layout.output, staging, record)


def clear_losers(output: str, run_id: str) -> None:
    """Removes what attempts at a published run left; those that were begun upon it go on."""
    lock = locate_lock(output, run_id)
    if not _find_attempts(output, run_id) and store.find_size(lock) is None:
        store.prune(join(output, "_staging"))
        return
    with store.hold_lock(lock):  # that of a dead program goes with ours
        standing = find_standing(output, run_id)
        for staging in _find_attempts(output, run_id) if standing else ():
            if standing is not None and _is_over(staging, standing.record):
                _clear(output, staging, standing.record)
    store.prune(join(output, "_staging"))


def sweep(output: str, now: datetime.datetime | None = None) -> None:
    """Removes what attempts left that have staged nothing for `STALE`, of whatever run.

    Args:
        output: the folder of all runs.
        now: for tests.
    """
    oldest = (now or datetime.datetime.now(datetime.UTC)) - STALE
    for staging in _find_attempts(output):
        written_at = store.find_last_write(staging)
        if written_at is None or written_at >= oldest:
            continue
        run_id = _run_id_of(staging)
        with store.hold_lock(locate_lock(output, run_id)):
            standing = find_standing(output, run_id)
            _clear(output, staging, standing.record if standing else None)


def _find_others(layout: Layout) -> list[str]:
    found = _find_attempts(layout.output, layout.run_id)
    return [staging for staging in found if staging != layout.staging]


def _find_attempts(output: str, run_id: str | None = None) -> list[str]:
    """The staging folders of a run, or of all runs."""
    root = join(output, "_staging")
    found = map(_STAGING.fullmatch, store.list_folders(root))
    return [join(root, each[0]) for each in found if each and run_id in (None, each["run_id"])]


def _is_over(staging: str, record: RunRecord) -> bool:
    """Whether an attempt has lost, or was committed: without a note it may just have begun."""
    note = _read_note(staging, record.run_id)
    is_own = staging.endswith(f"-{record.attempt}")
    return is_own or (note is not None and note.base != record.attempt)


def _run_id_of(staging: str) -> str:
    found = _STAGING.fullmatch(staging.rpartition("/")[2])
    return found["run_id"] if found else ""


def _clear(output: str, staging: str, record: RunRecord | None) -> None:
    _withdraw(output, staging, record)
    store.remove_folder(staging)


def _withdraw(
    output: str, staging: str, record: RunRecord | None, spared: Sequence[str] = ()
) -> None:
    """Removes what the attempt's note names, the record does not, and nobody wants spared."""
    note = _read_note(staging, _run_id_of(staging))
    if note is None:
        return
    kept = {*spared, *(file.path for file in (record.files if record else ()))}
    moved = [
        join(note.folder, name)
        for name in store.list_names(join(output, note.folder))
        if _is_part(name, note.tag)
    ]
    superseded = note.files if record and record.attempt != note.base else ()
    gone = [path for path in (*moved, *superseded) if path not in kept]
    store.remove_files([join(output, path) for path in gone])
    store.prune(*_climb(output, [note.folder, *(path.rpartition("/")[0] for path in gone)]))


def _climb(output: str, folders: Sequence[str]) -> list[str]:
    """Each folder, its model's and its day's."""
    found = []
    for folder in dict.fromkeys(folders):
        while folder.count("/") > 0:
            found.append(join(output, folder))
            folder = folder.rpartition("/")[0]
    return found


def _is_part(name: str, tag: str) -> bool:
    found = _PART.fullmatch(name)
    return found is not None and (found["tag"] or "") == tag


def _read_note(staging: str, run_id: str) -> Note | None:
    """The note of an attempt; None where there is none, or where it was killed while writing it.

    What it names is taken away, so nothing is believed that lies outside this very run.
    """
    try:
        with store.open_existing(join(staging, NOTE)) as source:
            fields = json.loads(source.read())
        note = Note(fields["folder"], fields["tag"], fields["base"], tuple(fields["files"]))
        named = (note.folder, *(path.rpartition("/")[0] for path in note.files))
        own = re.compile(rf"predictions/run_date=[^/]+/model=[^/]+/run_id={re.escape(run_id)}")
        is_own = all(map(own.fullmatch, named)) and len(note.tag) in (0, TAG_CHARS)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return note if is_own else None
