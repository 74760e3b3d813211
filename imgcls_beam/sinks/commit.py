"""From merged files to a committed run.

::

    verify ─▶ move ─▶ replace the record ─▶ clear what went out of use, and what dead sessions left

The record names every file of the run. Where rows are published already, the new files are put
beside them under names of their own, and the record is replaced in one step: readers that use the
run record see the old table or the new one. Nothing here knows of Beam. A runner may call
`commit_session` again after it failed at any point, or after its answer was lost: the result is the
same run.
"""

import collections
import contextlib
import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_beam.errors import ConfigError, PublishError, RunExistsError
from imgcls_beam.library_versions import find_versions
from imgcls_beam.passed_over import PassedOver, merge_passed_over
from imgcls_beam.sinks.leftovers import (
    clear_finished,
    has_note,
    read_note,
    roll_back,
    write_note,
)
from imgcls_beam.sinks.merging import MergedFile
from imgcls_beam.sinks.record import (
    DONE,
    FAILED,
    Current,
    RunRecord,
    check_same_models,
    encode_record,
    find_current,
)
from imgcls_beam.sinks.record_parts import (
    RecordedFile,
    RecordedModel,
    RecordedPublication,
    check_distinct,
    merge_engines,
)
from imgcls_beam.sinks.run_paths import STAGING
from imgcls_beam.sinks.session import APPEND, ERRORS, Session, make_note
from imgcls_beam.sinks.staged_files import StagedFiles
from imgcls_beam.stores.folder import Folder
from imgcls_beam.summary import Summary, merge_summaries


@dataclasses.dataclass(frozen=True, slots=True)
class _Work:
    """What is to be committed, and which record it replaces."""

    merged: Sequence[MergedFile]
    staged: StagedFiles
    listed: int
    session: Session
    current: Current | None

    def locate(self, each: MergedFile) -> str:
        """Its final path."""
        return self.session.paths.locate_file(each.file.model_key, each.index, each.count)

    @property
    def published(self) -> list[MergedFile]:
        """Those that hold rows."""
        return [each for each in self.merged if each.file.rows]


def commit_session(
    merged: Sequence[MergedFile],
    staged: StagedFiles,
    listed: int,
    session: Session,
    configuration: str = "{}",
    passed_over: PassedOver | None = None,
) -> RunRecord:
    """Commits a run: all of its files and then its record, or nothing.

    Args:
        merged: every file of the session, in any order.
        staged: what the rows were counted to be when they were staged.
        listed: how many images were listed, an image counted once for each model.
        session: as it was begun.
        configuration: of the job, a JSON object in text.
        passed_over: what was seen beside the images; None where nothing was listed.

    Returns:
        The current record; that of the first time where this is a repetition.

    Raises:
        PublishError: rows, files and counts do not add up. Published rows are left as they were,
            and a record with the state FAILED lies under `runs/failed/`.
        RunExistsError: another session has published this run.
    """
    folder, paths = session.folder, session.paths
    with folder.hold_lock(paths.lock):
        current = find_current(folder, paths.run_id)
        if current is not None and current.record.session_id == session.session_id:
            record = current.record
        else:
            if (current.etag if current else None) != session.base.etag:
                raise _make_overtaken_error(session)
            ordered = sorted(merged, key=lambda each: (each.file.model_key, each.index))
            work = _Work(ordered, staged, listed, session, current)
            record = _publish(work, _make_record(work, json.loads(configuration), passed_over))
        clear_finished(folder, record)
    folder.prune(STAGING)
    return record


def _publish(work: _Work, record: RunRecord) -> RunRecord:
    _verify(work, record)
    session, folder, paths = work.session, work.session.folder, work.session.paths
    if not has_note(folder, paths.staging):
        raise PublishError("nothing was published: the run has been given up meanwhile")
    earlier = read_note(folder, paths.staging)
    moved = {work.locate(each) for each in work.published}
    note = make_note(session, sorted(moved.union(earlier.moved if earlier else ())))
    write_note(folder, paths.staging, note)
    try:
        for each in work.published:
            _move(folder, each.file, work.locate(each))
        folder.sync(*map(work.locate, work.published))
        return _swap(work, record)
    except (PublishError, FileExistsError) as error:
        # The session that was faster has removed our note: nobody else would know of these files.
        found = find_current(folder, paths.run_id)
        roll_back(folder, note, found.record if found else None)
        if isinstance(error, FileExistsError):
            raise _make_overtaken_error(session) from error
        raise


def _move(folder: Folder, file: RecordedFile, final: str) -> None:
    if folder.find_size(file.path) is not None:
        folder.move(file.path, final)
    if folder.find_size(final) != file.size_bytes:
        raise PublishError(f"nothing was published: {folder.url_of(final)} is not whole")


def _swap(work: _Work, record: RunRecord) -> RunRecord:
    paths = work.session.paths
    *earlier, last = record.publications
    last = dataclasses.replace(last, finished_at=datetime.datetime.now(datetime.UTC))
    record = dataclasses.replace(record, publications=(*earlier, last))
    etag, scratch = work.session.base.etag, f"{paths.staging}/record"
    work.session.folder.swap(paths.record, encode_record(record), etag, scratch)
    return record


def _make_overtaken_error(session: Session) -> RunExistsError:
    problem = "another session of this run was published meanwhile; nothing of this one was"
    return RunExistsError("run_id", session.paths.run_id, problem)


def _verify(work: _Work, record: RunRecord) -> None:
    problem = _find_model_problem(work) or _find_count_problem(work) or _find_gap(work)
    folder, paths = work.session.folder, work.session.paths
    problems = (_find_file_problem(folder, each, work.locate(each)) for each in work.published)
    problem = problem or next((each for each in problems if each is not None), None)
    if problem is None:
        return
    failed = dataclasses.replace(record, state=FAILED, problem=problem, files=())
    folder.write(paths.failed_record, encode_record(failed))
    raise PublishError(f"run {record.run_id} was not published: {problem}")


def _find_model_problem(work: _Work) -> str | None:
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


def _find_count_problem(work: _Work) -> str | None:
    counted = work.staged.summary
    dropped = sum(each.dropped.rows for each in work.merged)
    if work.listed != counted.rows:
        each = ", ".join(f"{status} {count}" for status, count in sorted(counted.statuses.items()))
        return f"listed {work.listed} images, but {counted.rows} rows ({each or 'none'})"
    if work.session.base.how == ERRORS and dropped != work.listed:
        return f"tried {work.listed} images again, but {dropped} error rows are theirs"
    return None


def _find_gap(work: _Work) -> str | None:
    expected = {each.file.model_key: each.count for each in work.merged}
    found = collections.Counter(each.file.model_key for each in work.merged)
    indices = {(each.file.model_key, each.index) for each in work.merged}
    if indices != {(key, index) for key, count in expected.items() for index in range(count)}:
        return f"{found.total()} of {sum(expected.values())} files are there"
    rows = sum(each.file.rows + each.dropped.rows - each.replaced_rows for each in work.merged)
    return None if rows == work.listed else f"the files hold {rows} rows of {work.listed}"


def _find_file_problem(folder: Folder, each: MergedFile, final: str) -> str | None:
    if folder.find_size(each.file.path) is not None:
        rows = _count_rows(folder, each.file.path)
        return None if rows == each.file.rows else f"{final}: {rows} rows of {each.file.rows}"
    with contextlib.suppress(FileNotFoundError):
        if folder.hash_file(final) == each.file.sha256:
            return None  # an earlier try has moved it
    return f"{final}: its staged file is gone"


def _count_rows(folder: Folder, name: str) -> int | None:
    try:
        with folder.open_existing(name) as source:
            rows: int = pq.read_metadata(source).num_rows
    except pa.ArrowInvalid:
        return None
    return rows


def _make_record(
    work: _Work, configuration: Mapping[str, Any], passed_over: PassedOver | None
) -> RunRecord:
    session, summary, base = work.session, work.staged.summary, work.session.base
    skipped = summary.statuses.get("skipped", 0)
    started_at, now = session.started_at, datetime.datetime.now(datetime.UTC)
    record = RunRecord(
        run_id=session.paths.run_id,
        run_date=session.paths.run_date,
        session_id=session.session_id,
        state=DONE,
        models=RecordedModel.of_scorings(session.scorings or work.staged.scorings),
        listed=work.listed,
        summary=summary.to_json(),
        publications=(
            RecordedPublication(
                session.session_id, base.how, started_at, now, summary.rows, skipped
            ),
        ),
        files=tuple(
            dataclasses.replace(each.file, path=work.locate(each)) for each in work.published
        ),
        configuration=configuration,
        library_versions=find_versions(),
        passed_over=(passed_over or PassedOver()).to_json(),
        engines=work.staged.engines,
        sandbox=work.staged.sandbox,
    )
    if work.current is None or base.how not in (APPEND, ERRORS):
        return record
    return _add_to(work.current.record, record, work)


def _add_to(current: RunRecord, added: RunRecord, work: _Work) -> RunRecord:
    """The record of a run whose rows stay, but for those that were written anew."""
    is_retry = work.session.base.how == ERRORS
    replaced = {path for each in work.merged for path in each.replaced}
    kept = [file for file in current.files if file.path not in replaced]
    dropped = merge_summaries(each.dropped for each in work.merged)
    both = merge_summaries((Summary.from_json(current.summary), work.staged.summary))
    return dataclasses.replace(
        added,
        models=current.models or added.models,
        listed=current.listed + (0 if is_retry else added.listed),
        passed_over=current.passed_over if is_retry else _add_passed_over(current, added),
        summary=both.without(dropped).to_json(),
        engines=merge_engines((*current.engines, *added.engines)),
        sandbox=tuple(dict.fromkeys((*current.sandbox, *added.sandbox))),
        publications=(*current.publications, *added.publications),
        files=(*kept, *added.files),
        configuration=current.configuration if is_retry else added.configuration,
    )


def _add_passed_over(*records: RunRecord) -> list[dict[str, Any]]:
    found = [PassedOver.from_json(record.passed_over) for record in records]
    return merge_passed_over(found).to_json()
