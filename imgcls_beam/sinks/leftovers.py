"""What sessions that died left behind, and how it is removed.

A session leaves a note in its staging folder: what it began from, and which files it moves where.
If it dies, a later session removes what it moved and did not commit, or what it replaced and did
not remove.
"""

import dataclasses
import json
import re
from collections.abc import Iterator

from imgcls_beam.sinks.record import RunRecord
from imgcls_beam.sinks.run_paths import locate_staging
from imgcls_beam.stores import file_operations, join

NOTE = "session.json"
_STAGING = re.compile(r"(?P<run_id>.+)-[0-9a-f]{32}")
_FILE = r"predictions/run_date=[^/]+/model=[^/]+/run_id={}/part-[0-9a-f-]+of-[0-9a-f-]+\.parquet"


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """What a session says of itself. Files are relative to the output.

    Attributes:
        base: the session whose record was current when it began; None for none.
        replaced: what that record named.
        moved: what it moves to its final path, once that is known.
    """

    base: str | None
    replaced: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


def write_note(staging: str, note: Note) -> None:
    """Writes a session's note."""
    data = json.dumps(dataclasses.asdict(note)).encode()
    file_operations.write_file(join(staging, NOTE), data)


def read_note(staging: str) -> Note | None:
    """The note of a session; None where there is none, or where it was killed while writing it.

    What it names is removed, so it is not believed where it names a file of another run.
    """
    try:
        with file_operations.open_existing(join(staging, NOTE)) as source:
            fields = json.loads(source.read())
        note = Note(fields["base"], tuple(fields["replaced"]), tuple(fields["moved"]))
        own = re.compile(_FILE.format(re.escape(parse_run_id(staging))))
        is_own = all(map(own.fullmatch, (*note.replaced, *note.moved)))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return note if is_own else None


def find_sessions(output: str, run_id: str | None = None) -> list[str]:
    """The staging folders of a run, or of all runs."""
    root = locate_staging(output)
    found = map(_STAGING.fullmatch, file_operations.list_folders(root))
    return [join(root, each[0]) for each in found if each and run_id in (None, each["run_id"])]


def parse_run_id(staging: str) -> str:
    """The run of a staging folder."""
    found = _STAGING.fullmatch(staging.rpartition("/")[2])
    return found["run_id"] if found else ""


def clear_finished(output: str, record: RunRecord) -> None:
    """Clears each session of a run that can no longer commit; those that began from `record` can.

    Args:
        output: the folder of all runs.
        record: the current one of the run.
    """
    for staging in find_sessions(output, record.run_id):
        note = read_note(staging)
        if note is None or note.base != record.session_id:
            clear_session(output, staging, record)


def clear_session(output: str, staging: str, record: RunRecord | None) -> None:
    """Removes what a session staged, moved and made, but for what the current record names."""
    note = read_note(staging)
    if note is not None:
        roll_back(output, note, record)
    file_operations.remove_folder(staging)
    file_operations.prune(locate_staging(output))


def roll_back(output: str, note: Note, record: RunRecord | None) -> None:
    """Removes the files that a note names and the current record does not."""
    kept = {file.path for file in record.files} if record else set()
    is_replaced = record is not None and record.session_id != note.base
    named = (*note.moved, *(note.replaced if is_replaced else ()))
    gone = [path for path in dict.fromkeys(named) if path not in kept]
    file_operations.remove_files([join(output, path) for path in gone])
    file_operations.prune(*(join(output, folder) for folder in _climb(gone)))
    file_operations.prune(join(output, "runs"))


def _climb(paths: list[str]) -> Iterator[str]:
    """The folders of files and those above them, deepest first."""
    folders: dict[str, None] = {}
    for path in paths:
        while path := path.rpartition("/")[0]:
            folders[path] = None
    return iter(sorted(folders, key=lambda folder: -folder.count("/")))
