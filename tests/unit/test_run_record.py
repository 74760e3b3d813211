import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError, RunExistsError
from imgcls_beam.library_versions import find_versions
from imgcls_beam.sinks import abandon_session, check_writable
from imgcls_beam.sinks.record import RunRecord, encode_record
from imgcls_beam.stores import join_url
from tests import by_url
from tests.staged import (
    FUSE,
    RUN,
    MortalDisk,
    begin,
    commit,
    empty_stores,
    list_output,
    stage_merged,
)


@pytest.fixture(params=["mortal", "mortalbucket"])
def output(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty output folder on each kind of store."""
    empty_stores()
    yield f"{request.param}://{tmp_path}/out"
    empty_stores()


def make_record(output: str) -> RunRecord:
    session = begin(output)
    merged, staged = stage_merged(session, [3, 5])
    return commit(merged, staged, 8, session)


def test_the_record_says_what_the_contract_promises(tmp_path: pathlib.Path) -> None:
    record = make_record(str(tmp_path))
    text = (tmp_path / "runs" / "r1.json").read_text(encoding="utf-8")
    fields = json.loads(text)
    assert text == json.dumps(fields, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert (fields["format_version"], fields["state"]) == (1, "DONE")
    assert fields["counts"] == {"listed": 8, "ok": 6, "error": 2, "skipped": 0}
    assert fields["error_ratio"] == 0.25
    assert fields["errors"] == [{"stage": "read", "code": "not_found", "count": 2}]
    assert fields["labels"] == [{"label": "cat", "count": 6}]
    assert fields["model"] == {
        "id": "owner/model",
        "revision": "a" * 40,
        "key": "owner/model@aaaaaaaaaaaa",
    }
    assert fields["models"] == [
        {**fields["model"], "parameters": fields["parameters"], "preprocess": "exact"}
    ]
    assert {file["model_key"] for file in fields["files"]} == {"owner/model@aaaaaaaaaaaa"}
    assert fields["parameters"] == {"top_k": 5, "function_to_apply": None}
    assert fields["configuration"] == {"input": ["gs://b"]}
    assert fields["library_versions"] == find_versions()
    assert sum(file["rows"] for file in fields["files"]) == 8
    assert fields["duration_s"] == record.duration_s > 0
    assert fields["images_per_s"] == pytest.approx(8 / record.duration_s)


def test_a_record_comes_back_as_it_was(tmp_path: pathlib.Path) -> None:
    record = make_record(str(tmp_path))
    assert RunRecord.from_json(record.to_json()) == record
    odd = dataclasses.replace(record, configuration={"input": ["caf\udce9", "ü", "\n"]})
    assert RunRecord.from_json(encode_record(odd)) == odd


def test_an_older_record_of_a_folder_has_the_key_of_its_content(tmp_path: pathlib.Path) -> None:
    fields = json.loads(make_record(str(tmp_path)).to_json())
    older = {"id": "demo/model", "revision": "ab" * 32, "key": "demo/model@abababababab"}
    del fields["models"]
    files = [{n: v for n, v in file.items() if n != "model_key"} for file in fields["files"]]
    found = RunRecord.from_json(json.dumps(fields | {"model": older, "files": files}))
    assert found.model == older | {"key": "folder@abababababab"}
    assert {file.model_key for file in found.files} == {"folder@abababababab"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format_version": 2}', '{"format_version": 1}', "null"]
)
def test_another_file_is_not_taken_for_a_record(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        RunRecord.from_json(text)


def test_equal_jobs_have_equal_configuration_hashes(tmp_path: pathlib.Path) -> None:
    record = make_record(str(tmp_path))

    def hash_of(configuration: dict[str, Any]) -> str:
        changed = dataclasses.replace(record, configuration=configuration)
        hashed: str = json.loads(changed.to_json())["configuration_sha256"]
        return hashed

    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 2})


def test_a_free_run_id_passes(output: str) -> None:
    session = begin(output)
    assert (session.base.how, session.base.session_id) == ("new", None)


def test_a_taken_run_id_is_refused_with_the_ways_out(output: str) -> None:
    record = make_record(output)
    with pytest.raises(RunExistsError) as caught:
        begin(output, 2)
    folder = record.files[0].path.rpartition("/")[0]
    for way_out in ("--run_id", join_url(output, "runs", "r1.json"), join_url(output, folder)):
        assert way_out in str(caught.value)


def test_a_record_that_cannot_be_read_takes_its_run_id_all_the_same(output: str) -> None:
    session = begin(output)
    by_url.write_file(join_url(output, "runs", "r1.json"), b"{")
    with pytest.raises(RunExistsError, match="run_id=r1"):
        begin(output, 2)
    with pytest.raises(RunExistsError):
        commit(*stage_merged(session, [3]), 3, session)


@pytest.mark.parametrize("exists", [False, True])
def test_checking_the_output_leaves_nothing_behind(tmp_path: pathlib.Path, exists: bool) -> None:
    output = tmp_path / "deep" / "er" / "out"
    if exists:
        output.mkdir(parents=True)
    check_writable(RUN.make_options(str(output)))
    assert output.exists() == exists
    assert [path.name for path in tmp_path.rglob("*")] == (["deep", "er", "out"] if exists else [])


def test_checking_a_bucket_leaves_nothing_behind(output: str) -> None:
    check_writable(RUN.make_options(output))
    assert list_output(output) == []


def test_an_output_below_a_file_is_refused_in_one_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    output = str(tmp_path / "file" / "out")
    with pytest.raises(ConfigError) as caught:
        check_writable(RUN.make_options(output))
    assert caught.value.option == "output"
    assert str(caught.value).startswith(f"output={output!r}: ")
    assert "Errno" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]


def test_a_store_that_refuses_to_write_is_refused_and_left_as_it_was(output: str) -> None:
    FUSE.set(0)
    with pytest.raises(ConfigError, match="written"):
        check_writable(RUN.make_options(output))
    assert list_output(output) == []


def test_abandoning_a_session_that_wrote_nothing_is_no_error(output: str) -> None:
    session = begin(output)
    abandon_session(session)
    abandon_session(session)
    assert list_output(output) == []


@pytest.mark.parametrize("has_links", [True, False])
def test_what_stands_is_not_written_over(
    output: str, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:
        monkeypatch.setattr(MortalDisk, "link", refuse_links)
    record = join_url(output, "runs", "r1.json")
    by_url.swap(record, b"first", None)
    with pytest.raises(FileExistsError):
        by_url.swap(record, b"second", None)
    assert by_url.read_with_etag(record)[0] == b"first"


def refuse_links(self: MortalDisk, source: str, target: str) -> None:
    """A disk without hard links, as FAT and some network disks are."""
    raise PermissionError(1, "Operation not permitted")
