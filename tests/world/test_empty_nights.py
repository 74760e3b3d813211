"""A night without images: a published run of 0 images where that is allowed, else a sentence."""

import json
import pathlib
import tarfile
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.warehouse.querying import open_runs
from pipelines.__main__ import main
from tests.scenes import write_photos

pytestmark = pytest.mark.slow


def _empty_folder(folder: pathlib.Path) -> list[str]:
    return [f"--input={folder}"]


def _other_files(folder: pathlib.Path) -> list[str]:
    (folder / "notes.txt").write_text("nothing")
    return [f"--input={folder}"]


def _no_match(folder: pathlib.Path) -> list[str]:
    return [f"--input={folder}/*.jpg"]


def _empty_tar(folder: pathlib.Path) -> list[str]:
    with tarfile.open(folder / "a.tar", "w"):
        return [f"--input={folder / 'a.tar'}"]


def _header(folder: pathlib.Path) -> list[str]:
    (folder / "m.csv").write_text("photo,sku\n")
    return [f"--input_manifest={folder / 'm.csv'}", "--uri_column=photo"]


def _empty_parts(folder: pathlib.Path) -> list[str]:
    for part in range(2):
        pq.write_table(pa.table({"photo": pa.array([], pa.string())}), folder / f"{part}.parquet")
    return [f"--input_manifest={folder}", "--uri_column=photo"]


def _blank_requests(folder: pathlib.Path) -> list[str]:
    (folder / "r.jsonl").write_text("\n \n")
    return [f"--requests={folder / 'r.jsonl'}"]


NIGHTS: list[Callable[[pathlib.Path], list[str]]] = [
    *(_empty_folder, _other_files, _no_match, _empty_tar, _header, _empty_parts, _blank_requests)
]


@pytest.mark.parametrize("fill", NIGHTS, ids=lambda fill: fill.__name__)
def test_no_image_is_a_run_of_none_where_that_is_allowed_and_else_a_sentence(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    fill: Callable[[pathlib.Path], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    out, answers = tmp_path / "out", tmp_path / "answers.jsonl"
    flags = [*fill(tmp_path / "in"), f"--model={vit_folder}", f"--output={out}", "--run_id=0042"]
    flags.append(f"--output_jsonl={answers}")
    assert main(["classify", *flags]) == 2
    said = capsys.readouterr().err
    assert "--allow_empty" in said
    assert said.count("\n") == 1
    assert not out.exists()

    assert main(["classify", *flags, "--allow_empty"]) == 0
    record = json.loads((out / "runs" / "0042.json").read_text())
    assert record["state"] == "DONE"
    assert record["counts"] == {"listed": 0, "ok": 0, "error": 0, "skipped": 0}
    assert (record["files"], record["duplicates"]) == ([], 0)
    assert answers.read_bytes() == b""
    asked = open_runs(str(out)).execute("SELECT run_id, listed FROM prediction_runs").fetchall()
    assert asked == [("0042", 0)]
    assert main(["classify", *flags, "--allow_empty"]) == 2  # it is published


def test_a_place_that_is_not_there_is_no_empty_night(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [f"--model={vit_folder}", f"--output={tmp_path / 'out'}", "--allow_empty"]
    for source in ("--input=gone", "--input_manifest=gone.csv", "--requests=gone.jsonl"):
        more = ["--uri_column=photo"] if "manifest" in source else []
        assert (
            main(["classify", source.replace("gone", str(tmp_path / "gone")), *more, *flags]) == 2
        )
        assert "there is no such file or folder" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["--if_exists=append", "--run_id=again"])
def test_a_night_with_nothing_new_is_a_run(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, how: str
) -> None:
    write_photos(tmp_path / "in", 2)
    flags = [f"--input={tmp_path / 'in'}", f"--model={vit_folder}", f"--output={tmp_path / 'out'}"]
    flags += ["--only=new", "--allow_empty"]
    assert main(["classify", *flags, "--run_id=r1"]) == 0
    again = [how] if "run_id" in how else [how, "--run_id=r1"]
    assert main(["classify", *flags, *again]) == 0
    runs = sorted((tmp_path / "out" / "runs").glob("*.json"))
    last = json.loads(runs[0].read_text())
    skipped = 2 if "again" in how else 0
    assert last["publications"][-1]["rows"] == skipped
    assert last["counts"]["skipped"] == skipped
