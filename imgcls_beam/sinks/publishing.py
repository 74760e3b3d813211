"""From staged parts to a committed run.

::

    verify ─▶ clear what dead attempts left ─▶ move ─▶ write the record ─▶ remove the staging folder

Nothing here knows of Beam. A runner may call `publish` again after it failed at any point, or after
it ended and its answer was lost: the result is the same run.
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
from imgcls_beam.sinks.attempts import clear_attempt, clear_others, note_moving, withdraw_others
from imgcls_beam.sinks.fragments import Fragments
from imgcls_beam.sinks.layout import Layout, join
from imgcls_beam.sinks.parts import StagedPart
from imgcls_beam.sinks.record import (
    DONE,
    FAILED,
    RecordedFile,
    RunRecord,
    encode_record,
    make_exists_error,
    read_record,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    """What a run record says beside what its rows add up to.

    Attributes:
        run: what all rows share.
        layout: where the run's files lie.
        configuration: of the job, a JSON object in text.
        started_at: when the program was started, UTC.
    """

    run: RunContext
    layout: Layout
    configuration: str
    started_at: datetime.datetime


def publish(
    parts: Sequence[StagedPart], fragments: Fragments, listed: int, publication: Publication
) -> RunRecord:
    """Commits a run: all of its files and then its record, or nothing that readers follow.

    Args:
        parts: every part of the run, in any order.
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
        record = _find_own_record(layout)
        if record is None:
            parts = sorted(parts, key=lambda part: part.index)
            record = _make_record(parts, fragments, listed, publication)
            _verify(parts, fragments, record, layout)
            _clear_leftovers(parts, layout)
            _move_parts(parts, layout)
            record = _commit(record, layout)
        clear_others(layout)
    clear_attempt(layout)
    return record


def _find_own_record(layout: Layout) -> RunRecord | None:
    if store.find_size(layout.record) is None:
        return None
    try:
        record = read_record(layout.record)
    except ValueError as error:
        raise make_exists_error(layout.output, layout.run_id) from error
    if record.attempt != layout.attempt:
        raise make_exists_error(layout.output, layout.run_id)
    return record


def _verify(
    parts: Sequence[StagedPart], fragments: Fragments, record: RunRecord, layout: Layout
) -> None:
    problem = _find_problem(parts, fragments, record.listed, layout)
    if problem is None:
        return
    failed = dataclasses.replace(record, state=FAILED, problem=problem, files=())
    store.write_file(layout.failed_record, encode_record(failed))
    raise PublishError(f"run {layout.run_id} was not published: {problem}")


def _find_problem(
    parts: Sequence[StagedPart], fragments: Fragments, listed: int, layout: Layout
) -> str | None:
    counted = fragments.summary.statuses
    if listed != fragments.summary.rows:
        rows = ", ".join(f"{status} {count}" for status, count in sorted(counted.items()))
        return f"listed {listed} images, but {fragments.summary.rows} rows ({rows or 'none'})"
    if [part.index for part in parts] != list(range(parts[0].count if parts else 0)):
        return f"{len(parts)} of {parts[0].count if parts else 0} parts are there"
    if sum(part.file.rows for part in parts) != listed:
        return f"the parts hold {sum(part.file.rows for part in parts)} rows of {listed}"
    problems = (_find_part_problem(part, layout) for part in parts)
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


def _clear_leftovers(parts: Sequence[StagedPart], layout: Layout) -> None:
    # Without a record nothing in this folder was ever committed. Files under the names of this
    # run's own parts stay: they are overwritten, or were moved there by an earlier try.
    withdraw_others(layout)
    own = {layout.locate_part(part.index, part.count) for part in parts}
    found = [join(layout.run_folder, name) for name in store.list_names(layout.run_folder)]
    store.remove_files([url for url in found if url not in own])


def _move_parts(parts: Sequence[StagedPart], layout: Layout) -> None:
    note_moving(layout)
    for part in parts:
        final = layout.locate_part(part.index, part.count)
        if store.find_size(part.file.path) is not None:
            # Stores without locks: an attempt that is overtaken stops before the next file.
            _find_own_record(layout)
            store.move_file(part.file.path, final)
        if store.find_size(final) != part.file.size_bytes:
            raise PublishError(f"run {layout.run_id} was not published: {final} is not whole")


def _commit(record: RunRecord, layout: Layout) -> RunRecord:
    record = dataclasses.replace(record, finished_at=datetime.datetime.now(datetime.UTC))
    try:
        store.write_new_file(layout.record, encode_record(record), join(layout.staging, "record"))
    except FileExistsError:
        standing = _find_own_record(layout)
        return record if standing is None else standing
    return record


def _make_record(
    parts: Sequence[StagedPart], fragments: Fragments, listed: int, publication: Publication
) -> RunRecord:
    run, layout = publication.run, publication.layout
    return RunRecord(
        run_id=run.run_id,
        run_date=run.run_date,
        attempt=layout.attempt,
        state=DONE,
        model=_describe_model(run),
        parameters={"top_k": run.top_k, "function_to_apply": run.function_to_apply},
        listed=listed,
        summary=fragments.summary.to_json(),
        started_at=publication.started_at,
        finished_at=datetime.datetime.now(datetime.UTC),
        files=tuple(_describe_file(part, layout) for part in parts),
        configuration=json.loads(publication.configuration),
        library_versions=json.loads(run.library_versions),
    )


def _describe_model(run: RunContext) -> dict[str, str]:
    weights = {"weights": run.model_weights} if run.model_weights else {}
    return {"id": run.model_id, "revision": run.model_revision, "key": run.model_key, **weights}


def _describe_file(part: StagedPart, layout: Layout) -> RecordedFile:
    path = layout.make_relative(layout.locate_part(part.index, part.count))
    return RecordedFile(path, part.file.rows, part.file.size_bytes, part.file.sha256)
