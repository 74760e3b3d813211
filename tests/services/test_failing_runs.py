"""Runs whose store fails: what is written is published once or not at all, and what is gone ends.

Silences are made short by the environment and retries quick, so nothing here waits for long.
"""

import hashlib
import json
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from imgcls_beam.reading import breaker
from imgcls_beam.stores import OTHER_RETRIES, Folder, open_folder, patience
from pipelines.__main__ import main
from tests.extent import choose
from tests.scenes import draw_photo, encode
from tests.servers import Server, forget_clients

_MODEL = pathlib.Path(__file__).parents[2] / "demo" / "model"
_IMAGES = 8
_FAULTS = ("503", "429", "lose", "reset", "short", "stall")


@pytest.fixture(scope="module", autouse=True)
def photos(server: Server) -> None:
    server.fill(
        {f"photos/{i:02d}.png": encode(draw_photo(i, (40, 30)), "PNG") for i in range(_IMAGES)}
    )


@pytest.fixture
def quick(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients whose patience is short."""
    monkeypatch.setenv("IMGCLS_STORE_TIMEOUT_S", "0.5")
    monkeypatch.setattr(patience, "_MOST_WAIT_S", 0.05)
    monkeypatch.setattr(patience, "_LEAST_RETRY_S", 3.0)
    forget_clients(server.scheme)
    yield
    server.take_asked()
    forget_clients(server.scheme)


def _run(server: Server, output: str, *flags: str) -> int:
    places = [f"--input={server.root}/photos", f"--output={server.root}/{output}"]
    return main(["classify", *places, f"--model={_MODEL}", "--run_id=r1", *flags])


def _check_once_or_not_at_all(server: Server, output: str, code: int) -> None:
    """All of the rows by the record, in files that are whole; or no record."""
    store = server.store
    path = f"{server.root}/{output}"
    if not store.exists(f"{path}/runs/r1.json"):
        assert code == 1
        return
    assert code == 0
    record = json.loads(store.cat_file(f"{path}/runs/r1.json"))
    uris: list[str] = []
    for file in record["files"]:
        with store.open(f"{path}/{file['path']}", "rb") as source:
            uris += pq.ParquetFile(source).read(["image_uri"])["image_uri"].to_pylist()
    assert sorted(uris) == [f"{server.root}/photos/{i:02d}.png" for i in range(_IMAGES)]
    assert record["counts"]["listed"] == _IMAGES


@pytest.mark.parametrize("how", _FAULTS)
def test_what_is_written_again_is_written_whole(server: Server, quick: None, how: str) -> None:
    """botocore leaves a stream that was read to its end in the place of the bytes."""
    folder = open_folder("output", f"{server.root}/again-{uuid.uuid4().hex}")
    server.spoil(how, "^(PUT|POST) ", "^(PUT|POST) ")
    folder.write("small", b"small")
    with folder.open_new("large") as target:
        target.write(b"large" * 1000)
    server.take_asked()
    assert (folder.find_size("small"), folder.find_size("large")) == (5, 5000)
    assert folder.read_with_etag("small")[0] == b"small"
    assert folder.hash_file("large") == hashlib.sha256(b"large" * 1000).hexdigest()


def _write_disturbed(server: Server, seed: int) -> None:
    output = f"writes-{uuid.uuid4().hex}"
    with server.disturbed(_FAULTS, output, seed=seed):
        code = _run(server, output)
    _check_once_or_not_at_all(server, output, code)


def test_a_run_that_writes_under_faults_is_published_once_or_not_at_all(
    server: Server, quick: None
) -> None:
    _write_disturbed(server, 1)


@pytest.mark.long(minutes=1)
@pytest.mark.timeout(1800)
def test_runs_that_write_under_faults_are_published_once_or_not_at_all(
    server: Server, quick: None
) -> None:
    for seed in range(choose(30, 10)):
        OTHER_RETRIES.give_back(1_000_000)
        _write_disturbed(server, 100 + seed)


def test_a_store_that_is_gone_ends_the_run_with_a_sentence(
    server: Server,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(breaker, "BREAKER", breaker.Breaker(images=4, gone_s=0))
    reads = "^GET /download/.*photos" if server.scheme == "gs" else r"^GET .*photos/.*png\?"
    server.spoil("503", reads, for_ever=True)
    output = f"gone-{uuid.uuid4().hex}"
    assert _run(server, output) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "the run failed and nothing was published" in said
    assert f"{server.root} does not answer since" in said
    assert "while running" not in said
    server.take_asked()
    assert not server.store.exists(f"{server.root}/{output}/runs/r1.json")


def test_a_run_that_ends_before_its_commit_has_published_nothing_whatever_its_store_says(
    server: Server,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Images and rows lie in one bucket, which does not answer any more."""

    class Breaker(breaker.Breaker):
        def wait(self, refs: object) -> None:
            server.spoil("503", "", for_ever=True)
            OTHER_RETRIES.take(1_000_000)

    monkeypatch.setattr(breaker, "BREAKER", Breaker(images=4, gone_s=0))
    code = _run(server, f"away-{uuid.uuid4().hex}")
    said = capsys.readouterr().err.splitlines()[-1]
    server.take_asked()
    OTHER_RETRIES.give_back(1_000_000)
    assert code == 1
    assert "the run failed and nothing was published" in said
    assert f"{server.root} does not answer since" in said


_RECORD_READS = {"gs": "^GET /download/.*runs/r1.json", "s3": r"^GET .*/runs/r1\.json"}
_CLEARING = {"gs": "^DELETE .*_staging/r1-", "s3": r"^POST /[^/]+/?\?delete|^DELETE .*_staging/r1-"}


def _spoil_after_the_commit(
    server: Server, monkeypatch: pytest.MonkeyPatch, *patterns: str
) -> None:
    """From the moment at which the record is written, such requests fail."""
    swap = Folder.swap

    def swap_and_spoil(self: Folder, *given: Any) -> None:
        swap(self, *given)
        server.spoil("503", *patterns, for_ever=True)
        OTHER_RETRIES.take(1_000_000)

    monkeypatch.setattr(Folder, "swap", swap_and_spoil)


def test_a_record_that_cannot_be_read_back_leaves_the_run_published(
    server: Server,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = f"unread-{uuid.uuid4().hex}"
    _spoil_after_the_commit(server, monkeypatch, _RECORD_READS[server.scheme])
    code = _run(server, output)
    server.take_asked()
    OTHER_RETRIES.give_back(1_000_000)
    assert code == 0
    assert (
        f"the rows were published, but {server.root}/{output}/runs/r1.json cannot be" in caplog.text
    )
    _check_once_or_not_at_all(server, output, code)


def test_what_cannot_be_cleared_after_the_commit_leaves_the_run_published(
    server: Server,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = f"uncleared-{uuid.uuid4().hex}"
    _spoil_after_the_commit(server, monkeypatch, _CLEARING[server.scheme])
    code = _run(server, output)
    server.take_asked()
    OTHER_RETRIES.give_back(1_000_000)
    assert code == 0
    assert "run r1 is published; what it staged could not be removed" in caplog.text
    _check_once_or_not_at_all(server, output, code)


def test_a_run_that_fails_where_its_record_cannot_be_read_says_that_it_is_not_known(
    server: Server,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The answer to the commit is lost, and the store is gone."""
    output = f"unknown-{uuid.uuid4().hex}"
    writes = "^POST /upload.*runs/r1.json" if server.scheme == "gs" else "^PUT .*/runs/r1.json"
    swap = Folder.swap

    def spoil_and_swap(self: Folder, *given: Any) -> None:
        server.spoil("lose", writes, for_ever=True)
        server.spoil("503", _RECORD_READS[server.scheme], for_ever=True)
        OTHER_RETRIES.take(1_000_000)
        swap(self, *given)

    monkeypatch.setattr(Folder, "swap", spoil_and_swap)
    code = _run(server, output)
    said = capsys.readouterr().err.splitlines()[-1]
    server.take_asked()
    OTHER_RETRIES.give_back(1_000_000)
    assert code == 1
    record = json.loads(server.store.cat_file(f"{server.root}/{output}/runs/r1.json"))
    assert "it is not known whether the rows were published" in said
    assert f'{server.root}/{output}/runs/r1.json says "attempt": "{record["attempt"]}"' in said
    assert "nothing was published" not in said
