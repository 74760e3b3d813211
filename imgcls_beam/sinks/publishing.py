"""From staged parts to a committed run.

::

    verify ─▶ move ─▶ swap the record ─▶ clear what went out of use, and what dead attempts left

The record names every file of the run. Where rows stand already, the new files are put beside them
under names of their own, and the record is swapped in one step: who follows it sees the old table
or the new one. Nothing here knows of Beam. A runner may call `publish` again after it failed at any
point, or after it ended and its answer was lost: the result is the same run.
"""

import dataclasses
import datetime
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from imgcls_beam.errors import PublishError
from imgcls_beam.rows import RunContext
from imgcls_beam.sinks import store
from imgcls_beam.sinks.attempts import clear_attempt, clear_others, leave_note, withdraw_others
from imgcls_beam.sinks.fragments import Fragments
from imgcls_beam.sinks.layout import Layout, join
from imgcls_beam.sinks.parts import StagedPart
from imgcls_beam.sinks.record import DONE, FAILED, RunRecord, encode_record
from imgcls_beam.sinks.recorded import RecordedFile, RecordedPublication
from imgcls_beam.sinks.succession import (
    APPEND,
    ERRORS,
    Standing,
    Succession,
    find_standing,
    make_overtaken_error,
)
from imgcls_beam.sinks.summary import Summary, merge_summaries
from imgcls_beam.sinks.swapping import swap_file


@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    """What a run record says beside what its rows add up to.

    Attributes:
        run: what all rows share.
        layout: where the run's files lie.
        configuration: of the job, a JSON object in text.
        started_at: when the program was started, UTC.
        succession: upon what the attempt was begun.
    """

    run: RunContext
    layout: Layout
    configuration: str
    started_at: datetime.datetime
    succession: Succession = Succession()


def publish(
    parts: Sequence[StagedPart], fragments: Fragments, listed: int, publication: Publication
) -> RunRecord:
    """Commits a run: all of its files and then its record, or nothing that readers follow.

    Args:
        parts: every part of the attempt, in any order.
        fragments: what the rows were counted to be when they were written.
        listed: how many images were listed.
        publication: what the record says beside.

    Returns:
        The record as it stands in the output; that of the first time where this is a repetition.

    Raises:
        PublishError: rows, files and counts do not add up. Published rows are left as they were,
            and a record with the state FAILED lies under `runs/failed/`.
        RunExistsError: another attempt has published this run.
    """
    layout = publication.layout
    with store.hold_lock(layout.lock):
        standing = find_standing(layout.output, layout.run_id)
        if standing is None or standing.record.attempt != layout.attempt:
            _check_still_stands(standing, publication)
            parts = sorted(parts, key=lambda part: part.index)
            record = _make_record(parts, fragments, listed, publication, standing)
            _verify(parts, fragments, listed, record, publication)
            _put_in_place(parts, publication, standing)
            record = _commit(record, layout, standing)
        else:
            record = standing.record
        clear_others(layout, record)
    clear_attempt(layout)
    return record


def find_base(publication: Publication) -> RunRecord | None:
    """The record upon which the attempt was begun, as it still stands.

    Raises:
        RunExistsError: another stands there now.
    """
    standing = find_standing(publication.layout.output, publication.layout.run_id)
    _check_still_stands(standing, publication)
    return standing.record if standing else None


def _check_still_stands(standing: Standing | None, publication: Publication) -> None:
    attempt = standing.record.attempt if standing else None
    if attempt != publication.succession.base:
        raise make_overtaken_error(publication.layout)


def _verify(
    parts: Sequence[StagedPart],
    fragments: Fragments,
    listed: int,
    record: RunRecord,
    publication: Publication,
) -> None:
    layout = publication.layout
    problem = _find_problem(parts, fragments, listed, publication)
    if problem is None:
        return
    failed = dataclasses.replace(record, state=FAILED, problem=problem, files=())
    store.write_file(layout.failed_record, encode_record(failed))
    raise PublishError(f"run {layout.run_id} was not published: {problem}")


def _find_problem(
    parts: Sequence[StagedPart], fragments: Fragments, listed: int, publication: Publication
) -> str | None:
    counted = fragments.summary
    dropped = sum(part.dropped.rows for part in parts)
    if listed != counted.rows:
        each = ", ".join(f"{status} {count}" for status, count in sorted(counted.statuses.items()))
        return f"listed {listed} images, but {counted.rows} rows ({each or 'none'})"
    if publication.succession.how == ERRORS and dropped != listed:
        return f"tried {listed} images again, but {dropped} error rows are theirs"
    if [part.index for part in parts] != list(range(parts[0].count if parts else 0)):
        return f"{len(parts)} of {parts[0].count if parts else 0} parts are there"
    rows = sum(part.file.rows + part.dropped.rows - part.published_rows for part in parts)
    if rows != listed:
        return f"the parts hold {rows} rows of {listed}"
    problems = (_find_part_problem(part, publication.layout) for part in parts if part.file.rows)
    return next((problem for problem in problems if problem is not None), None)


def _find_part_problem(part: StagedPart, layout: Layout) -> str | None:
    final = layout.locate_part(part.index, part.count)
    if store.find_size(part.file.path) is not None:
        rows = _count_rows(part.file.path)
        return None if rows == part.file.rows else f"{final}: {rows} rows of {part.file.rows}"
    if store.find_size(final) is not None and store.hash_file(final) == part.file.sha256:
        return None  # an earlier try has moved it
    return f"{final}: its staged file is gone"


def _count_rows(url: str) -> int | None:
    try:
        with store.open_existing(url) as source:
            rows: int = pq.read_metadata(source).num_rows
    except pa.ArrowInvalid:
        return None
    return rows


def _put_in_place(
    parts: Sequence[StagedPart], publication: Publication, standing: Standing | None
) -> None:
    layout = publication.layout
    leave_note(layout, publication.succession)
    if store.is_local(layout.output):  # the lock is ours: who began to move before us is dead
        own = [layout.make_relative(layout.locate_part(p.index, p.count)) for p in parts]
        withdraw_others(layout, standing.record if standing else None, own)
    for part in parts:
        if part.file.rows:
            _move_part(part, publication)


def _move_part(part: StagedPart, publication: Publication) -> None:
    layout = publication.layout
    final = layout.locate_part(part.index, part.count)
    if store.find_size(part.file.path) is not None:
        # Stores without locks: an attempt that is overtaken stops before the next file.
        _check_still_stands(find_standing(layout.output, layout.run_id), publication)
        store.move_file(part.file.path, final)
    if store.find_size(final) != part.file.size_bytes:
        raise PublishError(f"run {layout.run_id} was not published: {final} is not whole")


def _commit(record: RunRecord, layout: Layout, standing: Standing | None) -> RunRecord:
    last = dataclasses.replace(
        record.publications[-1], finished_at=datetime.datetime.now(datetime.UTC)
    )
    record = dataclasses.replace(record, publications=(*record.publications[:-1], last))
    mark, scratch = standing.mark if standing else None, join(layout.staging, "record")
    try:
        swap_file(layout.record, encode_record(record), mark, scratch)
    except FileExistsError as error:
        raise make_overtaken_error(layout) from error
    return record


def _make_record(
    parts: Sequence[StagedPart],
    fragments: Fragments,
    listed: int,
    publication: Publication,
    standing: Standing | None,
) -> RunRecord:
    run, layout, how = publication.run, publication.layout, publication.succession.how
    files = tuple(_describe_file(part, layout) for part in parts if part.file.rows)
    summary = fragments.summary
    now = datetime.datetime.now(datetime.UTC)
    skipped = summary.statuses.get("skipped", 0)
    this = RecordedPublication(
        layout.attempt, how, publication.started_at, now, summary.rows, skipped
    )
    earlier: tuple[RecordedPublication, ...] = ()
    configuration = json.loads(publication.configuration)
    if standing is not None and how in (APPEND, ERRORS):
        files = (*_find_kept(standing.record, parts, layout), *files)
        summary = _add_up(standing.record, summary, parts)
        listed = standing.record.listed + (listed if how == APPEND else 0)
        earlier = standing.record.publications
        if how == ERRORS:
            configuration = standing.record.configuration
    return RunRecord(
        run_id=run.run_id,
        run_date=run.run_date,
        attempt=layout.attempt,
        state=DONE,
        model=_describe_model(run),
        parameters={"top_k": run.top_k, "function_to_apply": run.function_to_apply},
        listed=listed,
        summary=summary.to_json(),
        publications=(*earlier, this),
        files=files,
        configuration=configuration,
        library_versions=json.loads(run.library_versions),
    )


def _find_kept(
    record: RunRecord, parts: Sequence[StagedPart], layout: Layout
) -> list[RecordedFile]:
    """The files that stay in use: those that were not written anew."""
    anew = {layout.make_relative(file) for part in parts for file in part.published}
    return [file for file in record.files if file.path not in anew]


def _add_up(record: RunRecord, added: Summary, parts: Sequence[StagedPart]) -> Summary:
    dropped = merge_summaries(part.dropped for part in parts)
    return merge_summaries((Summary.from_json(record.summary), added)).without(dropped)


def _describe_model(run: RunContext) -> dict[str, str]:
    weights = {"weights": run.model_weights} if run.model_weights else {}
    return {"id": run.model_id, "revision": run.model_revision, "key": run.model_key, **weights}


def _describe_file(part: StagedPart, layout: Layout) -> RecordedFile:
    path = layout.make_relative(layout.locate_part(part.index, part.count))
    return RecordedFile(path, part.file.rows, part.file.size_bytes, part.file.sha256)
