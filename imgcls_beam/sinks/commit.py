"""From merged files to a committed run.

::

    verify ─▶ move ─▶ replace the record ─▶ clear what went out of use, and what dead sessions left

The record names every file of the run. Where rows are published already, the new files are put
beside them under names of their own, and the record is replaced in one step: readers that use the
run record see the old table or the new one. Nothing here knows of Beam. A runner may call
`commit_session` again after it failed at any point, or after its answer was lost: the result is the
same run.
"""

import dataclasses
import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls_beam.board import BOARD
from imgcls_beam.errors import PublishError, RunExistsError
from imgcls_beam.library_versions import find_versions
from imgcls_beam.passed_over import PassedOver, merge_passed_over
from imgcls_beam.sinks.leftovers import (
    Note,
    begin_to_publish,
    clear_finished,
    read_note_with_etag,
    roll_back,
    swap_note,
)
from imgcls_beam.sinks.merging import MergedFile
from imgcls_beam.sinks.record import (
    DONE,
    FAILED,
    RunRecord,
    encode_record,
    find_current,
)
from imgcls_beam.sinks.record_parts import (
    RecordedModel,
    RecordedPublication,
    merge_engines,
)
from imgcls_beam.sinks.run_paths import STAGING
from imgcls_beam.sinks.session import APPEND, ERRORS, Session, make_note
from imgcls_beam.sinks.staged_files import StagedFiles
from imgcls_beam.sinks.verifying import Work, find_problem
from imgcls_beam.stores.at_once import run_at_once
from imgcls_beam.stores.client_faults import FaultKind, ask, kind_of
from imgcls_beam.stores.folder import FileState, Folder
from imgcls_beam.summary import Summary, merge_summaries

_LOG = logging.getLogger(__name__)
_GIVEN_UP = "nothing was published: the run has been given up meanwhile"


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
            work = Work(ordered, staged, listed, session, current)
            record = _publish(work, _make_record(work, json.loads(configuration), passed_over))
        _clear(folder, record)
    folder.prune(STAGING)
    return record


def _clear(folder: Folder, record: RunRecord) -> None:
    """Clears what is of no use any more; the run is published, whether that can be done or not."""
    fault = ask(lambda: clear_finished(folder, record))
    if fault is None:
        return
    if kind_of(fault) is FaultKind.OTHER:
        raise fault
    _LOG.warning(
        "run %s is published; what it staged could not be removed, which a later run does",
        record.run_id,
    )


def _publish(work: Work, record: RunRecord) -> RunRecord:
    staged = _verify(work, record)
    session, folder, paths = work.session, work.session.folder, work.session.paths
    note = _begin_to_move(work)
    try:
        _put_in_place(work, staged)
        folder.sync(*map(work.locate, work.published))
        return _swap(work, record)
    except (PublishError, FileExistsError) as error:
        # The session that was faster has removed our note: nobody else would know of these files.
        found = find_current(folder, paths.run_id)
        roll_back(folder, note, found.record if found else None)
        if isinstance(error, FileExistsError):
            raise _make_overtaken_error(session) from error
        raise


def _begin_to_move(work: Work) -> Note:
    """Writes what is moved into the session's note, in one step with the look whether it may.

    Raises:
        PublishError: somebody has given the session up.
    """
    folder, staging = work.session.folder, work.session.paths.staging
    earlier, etag = read_note_with_etag(folder, staging)
    if etag is None or (earlier is not None and earlier.is_given_up):
        raise PublishError(_GIVEN_UP)
    begin_to_publish(folder, staging)
    moved = {work.locate(each) for each in work.published}
    note = make_note(work.session, sorted(moved.union(earlier.moved if earlier else ())))
    try:
        swap_note(folder, staging, note, etag)
    except FileExistsError as error:
        raise PublishError(_GIVEN_UP) from error
    return note


def _put_in_place(work: Work, staged: Mapping[str, FileState]) -> None:
    """Brings what is staged to its final path, and looks whether all of it is there."""
    folder = work.session.folder

    def put(each: MergedFile) -> None:
        state = staged[each.file.path]._replace(version=each.version)
        try:
            folder.put_in_place(each.file.path, work.locate(each), state)
        except FileNotFoundError as error:
            problem = f"{work.locate(each)}: its staged file is gone"
            raise PublishError(f"nothing was published: {problem}") from error
        BOARD.count_published()

    waiting = [each for each in work.published if each.file.path in staged]
    BOARD.begin_to_publish(len(waiting))
    run_at_once(put, waiting, folder.at_once)
    found = work.find_files(work.locate)
    for each in work.published:
        final = work.locate(each)
        if final not in found or found[final].size_bytes != each.file.size_bytes:
            raise PublishError(f"nothing was published: {folder.url_of(final)} is not whole")


def _swap(work: Work, record: RunRecord) -> RunRecord:
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


def _verify(work: Work, record: RunRecord) -> dict[str, FileState]:
    """What is staged; nothing of it has been moved yet.

    Raises:
        PublishError: rows, files and counts do not add up.
    """
    staged = work.find_files(lambda each: each.file.path)
    problem = find_problem(work, staged)
    if problem is None:
        return staged
    failed = dataclasses.replace(record, state=FAILED, problem=problem, files=())
    work.session.folder.write(work.session.paths.failed_record, encode_record(failed))
    raise PublishError(f"run {record.run_id} was not published: {problem}")


def _make_record(
    work: Work, configuration: Mapping[str, Any], passed_over: PassedOver | None
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


def _add_to(current: RunRecord, added: RunRecord, work: Work) -> RunRecord:
    """The record of a run whose rows stay, but for those that were written anew."""
    is_retry = work.session.base.how == ERRORS
    replaced = {path for each in work.merged for path in each.replaced}
    kept = [file for file in current.files if file.path not in replaced]
    dropped = merge_summaries(each.dropped for each in work.merged)
    both = merge_summaries((Summary.from_json(current.summary), work.staged.summary))
    summary = both.without(dropped).to_json()
    recovered = summary["counts"]["ok"] - current.counts["ok"]
    return dataclasses.replace(
        added,
        models=current.models or added.models,
        listed=current.listed + (0 if is_retry else added.listed),
        passed_over=current.passed_over if is_retry else _add_passed_over(current, added),
        summary=summary,
        engines=merge_engines((*current.engines, *added.engines)),
        sandbox=tuple(dict.fromkeys((*current.sandbox, *added.sandbox))),
        publications=(*current.publications, *added.publications),
        files=(*kept, *added.files),
        configuration=current.configuration if is_retry else added.configuration,
        recovered=recovered if is_retry else None,
    )


def _add_passed_over(*records: RunRecord) -> list[dict[str, Any]]:
    found = [PassedOver.from_json(record.passed_over) for record in records]
    return merge_passed_over(found).to_json()
