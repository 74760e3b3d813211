"""What is to be committed, and whether it adds up: rows, files, counts and models.

Nothing here writes, or knows of Beam.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from imgcls_beam.errors import ConfigError
from imgcls_beam.sinks.merging import MergedFile
from imgcls_beam.sinks.read_back import count_rows
from imgcls_beam.sinks.record import Current, check_same_models
from imgcls_beam.sinks.record_parts import RecordedModel, check_distinct
from imgcls_beam.sinks.session import APPEND, ERRORS, Session
from imgcls_beam.sinks.staged_files import StagedFiles
from imgcls_beam.stores.folder import FileState


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What is to be committed, and which record it replaces."""

    merged: Sequence[MergedFile]
    staged: StagedFiles
    listed: int
    session: Session
    current: Current | None

    def locate(self, each: MergedFile) -> str:
        """Its final path."""
        return self.session.paths.locate_file(each.file.model_key, each.index, each.count)

    def find_files(self, locate: Callable[[MergedFile], str]) -> dict[str, FileState]:
        """Which of the files that hold rows are there, staged or at their final paths."""
        below: dict[str, set[str]] = collections.defaultdict(set)
        for path in map(locate, self.published):
            below[path.rpartition("/")[0]].add(path)
        found: dict[str, FileState] = {}
        for name, wanted in below.items():
            found |= self.session.folder.find_files(name, wanted)
        return found

    @property
    def published(self) -> list[MergedFile]:
        """Those that hold rows."""
        return [each for each in self.merged if each.file.rows]


def find_problem(work: Work, staged: Mapping[str, FileState]) -> str | None:
    """Why it cannot be committed, half a sentence; None where it can.

    Args:
        work: nothing of it has been moved by this try.
        staged: which of its files are staged.
    """
    problem = _find_model_problem(work) or _find_count_problem(work) or _find_gap(work)
    problems = (_find_file_problem(work, each, staged) for each in work.published)
    return problem or next((each for each in problems if each is not None), None)


def _find_model_problem(work: Work) -> str | None:
    """What the rows say against what was expected, and against the run that they are added to."""
    expected = RecordedModel.of_scorings(work.session.scorings)
    try:
        models = check_distinct(work.staged.scorings)
        if work.current is not None and work.session.base.how in (APPEND, ERRORS):
            check_same_models(work.current.record, models)
    except ConfigError as error:
        return error.problem
    identities = {each.identity for each in expected}
    other = next((each for each in models if expected and each.identity not in identities), None)
    if other is None:
        return None
    return f"rows say {other}, but the run was begun with {' and '.join(map(str, expected))}"


def _find_count_problem(work: Work) -> str | None:
    counted = work.staged.summary
    dropped = sum(each.dropped.rows for each in work.merged)
    if work.listed != counted.rows:
        each = ", ".join(f"{status} {count}" for status, count in sorted(counted.statuses.items()))
        return f"listed {work.listed} images, but {counted.rows} rows ({each or 'none'})"
    if work.session.base.how == ERRORS and dropped != work.listed:
        return f"tried {work.listed} images again, but {dropped} error rows are theirs"
    return None


def _find_gap(work: Work) -> str | None:
    expected = {each.file.model_key: each.count for each in work.merged}
    found = collections.Counter(each.file.model_key for each in work.merged)
    indices = {(each.file.model_key, each.index) for each in work.merged}
    if indices != {(key, index) for key, count in expected.items() for index in range(count)}:
        return f"{found.total()} of {sum(expected.values())} files are there"
    rows = sum(each.file.rows + each.dropped.rows - each.replaced_rows for each in work.merged)
    return None if rows == work.listed else f"the files hold {rows} rows of {work.listed}"


def _find_file_problem(work: Work, each: MergedFile, staged: Mapping[str, FileState]) -> str | None:
    folder, final, state = work.session.folder, work.locate(each), staged.get(each.file.path)
    if state is not None and each.version is not None:  # of that version all was read back
        is_same = state == (each.file.size_bytes, each.version)
        return None if is_same else f"{final}: its staged file was changed"
    if state is not None:
        with folder.open_existing(each.file.path) as source:
            rows = count_rows(source)
        return None if rows == each.file.rows else f"{final}: {rows} rows of {each.file.rows}"
    with contextlib.suppress(FileNotFoundError):
        if folder.hash_file(final) == each.file.sha256:
            return None  # an earlier try has moved it
    return f"{final}: its staged file is gone"
