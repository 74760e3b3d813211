"""What publishing asks of a store: how much, how much at once, and of which version."""

import collections
import dataclasses
import re
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.errors import PublishError
from imgcls_beam.sinks import Session
from imgcls_beam.sinks.merging import MergedFile, merge_all, plan_session
from imgcls_beam.sinks.staged_files import StagedFiles
from imgcls_beam.stores.at_once import AT_ONCE
from imgcls_beam.stores.cloud_folders import WHOLE_BYTES
from tests.servers import Server
from tests.staged import begin, check_committed, commit, list_output, make_batch, stage

_FEW_PARTS = 12
_MOST_REQUESTS = 6
_FIXED_REQUESTS = 18
"""Of a run, however many parts it has."""
_COPIES = r"rewriteTo|^PUT .*/predictions/"


def _stage(session: Session, parts: int) -> tuple[Sequence[MergedFile], StagedFiles]:
    staged = stage(session, [1] * parts)
    planned = plan_session(staged, dataclasses.replace(session, file_bytes=1))
    return merge_all(planned, session.folder, session.paths.staging), staged


@pytest.fixture
def output(server: Server) -> str:
    return f"{server.root}/published-{uuid.uuid4().hex}"


def test_a_part_takes_six_requests_at_most(server: Server, output: str) -> None:
    server.take_asked()
    session = begin(output)
    record = commit(*_stage(session, _FEW_PARTS), _FEW_PARTS, session)
    asked = server.take_asked()
    kinds = collections.Counter(re.split("[ ?]", each)[0] for each in asked)
    assert len(asked) <= _MOST_REQUESTS * _FEW_PARTS + _FIXED_REQUESTS, kinds
    check_committed(output, record, _FEW_PARTS)


def test_thirty_two_parts_are_read_back_and_put_in_place_at_once(
    server: Server, output: str
) -> None:
    session = begin(output)
    server.meet(r"^GET .*_staging/.*/staged-", AT_ONCE)
    merged, staged = _stage(session, AT_ONCE)
    assert server.take_met() == AT_ONCE
    server.meet(_COPIES, AT_ONCE)
    record = commit(merged, staged, AT_ONCE, session)
    assert server.take_met() == AT_ONCE
    check_committed(output, record, AT_ONCE)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_staged_file_that_is_written_anew_after_it_was_read_back_stops_the_run(
    server: Server, output: str, rows: int
) -> None:
    """Also where its rows are as many as before: nobody has read these."""
    session = begin(output)
    merged, staged = _stage(session, 3)
    with session.folder.open_new(merged[1].file.path) as target:
        pq.write_table(pa.Table.from_batches([make_batch(7, rows)]), target)
    with pytest.raises(PublishError, match=r"part-00001-of-00003.*: its staged file was changed"):
        commit(merged, staged, 3, session)
    assert not [name for name in list_output(output) if name.startswith(("predictions", "runs/r"))]


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_staged_file_that_changes_while_others_are_put_in_place_stops_the_run(
    server: Server, output: str, is_gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put in place before is taken back; others of the same size are others."""
    session = begin(output)
    merged, staged = _stage(session, 3)
    folder, put = type(session.folder), type(session.folder).put_in_place

    def spoil_one_and_put(self: object, name: str, *rest: object) -> None:
        if name == merged[1].file.path:
            session.folder.remove(name)
            if not is_gone:
                session.folder.write(name, bytes(merged[1].file.size_bytes))
        put(self, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(folder, "put_in_place", spoil_one_and_put)
    with pytest.raises(PublishError, match=r"nothing was published: .*part-00001-of-00003"):
        commit(merged, staged, 3, session)
    assert not [name for name in list_output(output) if name.startswith(("predictions", "runs"))]


def test_a_file_of_several_blocks_is_read_back_and_pinned(server: Server, output: str) -> None:
    session = begin(output)
    data = bytes(WHOLE_BYTES + 1)
    with session.folder.open_new("below/large") as target:
        target.write(data)
    with session.folder.open_pinned("below/large", len(data)) as (source, version):
        assert source.read() == data
    state = session.folder.find_files("below", {"below/large"})["below/large"]
    assert state == (len(data), version)


@pytest.mark.parametrize("count", [1, 2, 1001])
def test_many_files_are_removed_and_those_that_are_gone_are_no_error(
    server: Server, output: str, count: int
) -> None:
    folder = begin(output).folder
    prefix = output.removeprefix(f"{server.root}/")
    server.fill({f"{prefix}/many/{i}#?% ü": b"" for i in range(0, count, 2)})
    folder.remove(*(f"many/{i}#?% ü" for i in range(count)))
    assert folder.list_names("many") == []


def test_a_store_that_lacks_the_request_to_remove_many_is_asked_for_each(
    server: Server, output: str
) -> None:
    folder = begin(output).folder
    names = [f"few/{i}" for i in range(5)]
    for name in names:
        folder.write(name, b"")
    server.spoil("403", r"^POST /imgcls-test/?\?delete", for_ever=True)
    folder.remove(*names)
    server.take_asked()
    assert folder.list_names("few") == []


def test_what_s3_did_not_remove_with_others_is_removed_alone(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(f"{s3_server.root}/published-{uuid.uuid4().hex}").folder
    names = [f"few/{i}" for i in range(3)]
    for name in names:
        folder.write(name, b"")
    call = type(folder.store).call_s3

    def refuse(store: Any, method: str, **given: Any) -> Any:
        if method != "delete_objects":
            return call(store, method, **given)
        return {"Errors": [{"Key": each["Key"]} for each in given["Delete"]["Objects"]]}

    monkeypatch.setattr(type(folder.store), "call_s3", refuse)
    folder.remove(*names)
    assert folder.list_names("few") == []
