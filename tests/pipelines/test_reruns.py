"""`classify` and `retry` night after night, from the command line to the table."""

import json
import os
import pathlib
import shutil
from typing import Any

import duckdb
import pytest

from pipelines.__main__ import main
from tests.runners import IN_MEMORY, REPEATED, TWO_PROCESSES
from tests.scenes import write_broken, write_photos

pytestmark = pytest.mark.slow


def classify(
    photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path, run_id: str, *flags: str
) -> int:
    arguments = [f"--input={photos}", f"--output={output}", f"--model={model}"]
    names = [] if any(flag.startswith("--run_id=") for flag in flags) else [f"--run_id={run_id}"]
    return main(["classify", *arguments, *names, "--max_error_ratio=1", *flags])


def query(output: pathlib.Path, sql: str) -> list[tuple[Any, ...]]:
    """What an analyst sees, with hive partitioning and no other option."""
    rows = f"read_parquet('{output}/predictions/**/*.parquet', hive_partitioning = true)"
    answer: list[tuple[Any, ...]] = duckdb.sql(sql.format(rows=rows)).fetchall()
    return answer


def read_record(output: pathlib.Path, run_id: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "runs" / f"{run_id}.json").read_text())
    return record


def test_a_nightly_job_scores_what_is_new_and_says_how_much_it_skipped(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    paths = write_photos(photos, 10)
    nightly = ["nightly-{run_date}", "--only=new", "--if_exists=replace"]
    assert classify(photos, out, vit_folder, *nightly, "--run_date=2026-11-21") == 0
    write_photos(photos / "more", 3, seed=1)
    paths[0].write_bytes(paths[1].read_bytes())
    os.utime(paths[0], (2e9, 2e9))
    paths[2].unlink()
    os.utime(paths[3], (1e9, 1e9))
    capsys.readouterr()
    assert classify(photos, out, vit_folder, *nightly, "--run_date=2026-11-22") == 0
    assert "5 ok, 0 error, 7 skipped of 12 listed" in capsys.readouterr().out
    # The scheduler fires again: the second replaces the first, which is no reason to skip.
    assert classify(photos, out, vit_folder, *nightly, "--run_date=2026-11-22") == 0
    counts = "select run_id, status, count(*) from {rows} group by all order by all"
    assert query(out, counts) == [
        ("nightly-2026-11-21", "ok", 10),
        ("nightly-2026-11-22", "ok", 5),
        ("nightly-2026-11-22", "skipped", 7),
    ]
    skipped = (
        "select predictions, top_label, error, image_bytes > 0 from {rows} where status = 'skipped'"
    )
    assert set(map(str, query(out, skipped))) == {"([], None, None, True)"}
    record = read_record(out, "nightly-2026-11-22")
    assert record["counts"] == {"listed": 12, "ok": 5, "error": 0, "skipped": 7}


def test_another_model_under_the_same_run_id_makes_every_score_new(
    tmp_path: pathlib.Path, model_folders: dict[str, pathlib.Path]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 12)
    scores = "select image_uri, top_score, model_key, run_id from {rows} order by image_uri"
    assert classify(photos, out, model_folders["vit"], "r1") == 0
    before = query(out, scores)
    assert classify(photos, out, model_folders["convnext"], "r1") == 2
    assert query(out, scores) == before
    assert classify(photos, out, model_folders["convnext"], "r1", "--if_exists=replace") == 0
    after = query(out, scores)
    assert [row[0] for row in after] == [row[0] for row in before]
    assert all(new[1:3] != old[1:3] for new, old in zip(after, before, strict=True))
    assert all(new[1] != old[1] for new, old in zip(after, before, strict=True))
    assert sorted(path.name for path in out.iterdir()) == ["predictions", "runs"]


def test_a_folder_spelled_otherwise_is_the_same_model(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 3)
    shutil.copytree(vit_folder, tmp_path / "demo" / "model")
    monkeypatch.chdir(tmp_path)
    typed = (pathlib.Path("demo/model"), tmp_path / "demo" / "model", vit_folder)
    assert classify(photos, out, typed[0], "r0") == 0
    for index, model in enumerate(typed[1:], start=1):
        capsys.readouterr()
        assert classify(photos, out, model, f"r{index}", "--only=new") == 0
        assert "0 ok, 0 error, 3 skipped of 3 listed" in capsys.readouterr().out
    write_photos(tmp_path / "more", 2)
    assert classify(tmp_path / "more", out, typed[2], "r0", "--if_exists=append") == 0
    shown = query(out, "select distinct model_id from {rows}")
    assert {name for (name,) in shown} == set(map(str, typed))
    assert len(query(out, "select distinct model_key, model from {rows}")) == 1


def test_exact_and_fast_scores_are_not_taken_for_each_other(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    (good, *_) = write_photos(photos, 3)
    (bad,) = write_broken(photos, 1)
    fast, new = "--preprocess=fast", "--only=new"
    for run_id, flags, counts in (
        ("r1", (), "3 ok, 1 error of 4"),
        ("r2", (fast, new), "3 ok, 1 error of 4"),
        ("r3", (fast, new), "0 ok, 1 error, 3 skipped of 4"),
        ("r4", (new,), "0 ok, 1 error, 3 skipped of 4"),
    ):
        capsys.readouterr()
        assert classify(photos, out, vit_folder, run_id, *flags) == 0
        assert counts in capsys.readouterr().out
    said = [read_record(out, f"r{index}") for index in range(1, 5)]
    kinds = ["exact", "fast", "fast", "exact"]
    assert [each["models"][0]["preprocess"] for each in said] == kinds
    assert [each["configuration"]["decode"]["preprocess"] for each in said] == kinds

    assert classify(photos, out, vit_folder, "r2", "--if_exists=append") == 2
    assert "preprocess='exact': run r2 has fast" in capsys.readouterr().err
    bad.write_bytes(good.read_bytes())
    assert main(["retry", f"--output={out}", "--run_id=r2"]) == 0
    assert read_record(out, "r2")["models"][0]["preprocess"] == "fast"


def test_retry_mends_the_run_that_it_names(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    (good, *_) = write_photos(photos, 6)
    bad = write_broken(photos, 3)
    assert classify(photos, out, vit_folder, "r1", "--run_date=2026-11-20") == 0
    bad[0].write_bytes(good.read_bytes())
    bad[1].unlink()
    capsys.readouterr()
    assert main(["retry", f"--output={out}", "--run_id=r1", "--max_error_ratio=0.2"]) == 3
    assert "7 ok, 2 error of 9 listed" in capsys.readouterr().out
    rows = "select parse_filename(image_uri), status, run_date::text from {rows} order by all"
    statuses = {name: (status, day) for name, status, day in query(out, rows)}
    assert len(statuses) == 9
    assert statuses[bad[0].name] == ("ok", "2026-11-20")
    assert statuses[bad[1].name] == statuses[bad[2].name] == ("error", "2026-11-20")
    publications = read_record(out, "r1")["publications"]
    assert [(each["how"], each["rows"]) for each in publications] == [("new", 9), ("errors", 2)]


def test_a_larger_limit_lets_a_retry_through(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 4)
    assert classify(photos, out, vit_folder, "r1", "--max_image_pixels=100", "--top_k=2") == 0
    assert read_record(out, "r1")["counts"]["error"] == 4
    assert main(["retry", f"--output={out}", "--run_id=r1", "--max_image_pixels=1000000"]) == 0
    assert query(out, "select distinct status, len(predictions) from {rows}") == [("ok", 2)]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "output=None"),
        (["--output={out}"], "run_id=None"),
        (["--output={out}", "--run_id=nobody"], "no such run"),
        (["--output={out}", "--run_id=r1", "--device=tpu"], "auto, cpu, cuda"),
        (["--output={out}", "--run_id=r1", "--max_image_pixels=0"], "max_image_pixels=0"),
        (["--output={out}", "--run_ids=r1"], "did you mean --run_id?"),
    ],
)
def test_a_wrong_retry_is_one_clear_sentence(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    write_photos(tmp_path / "photos", 1)
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder, "r1") == 0
    capsys.readouterr()
    assert main(["retry", *(flag.format(out=tmp_path / "out") for flag in flags)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("imgcls retry: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--run_id=r{day}"], "run_id='r{day}'"),
        (["--only=old"], "allowed: all, new, errors"),
        (["--only=errors", "--run_id=nobody"], "no such run"),
        (["--only=errors", "--if_exists=append"], "if_exists='append'"),
        (["--if_exists=append", "--top_k=3"], "run r1 has 5"),
        (["--file_bytes=0"], "file_bytes=0"),
    ],
)
def test_a_wrong_rerun_is_one_clear_sentence_and_changes_nothing(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 1)
    assert classify(photos, out, vit_folder, "r1") == 0
    capsys.readouterr()
    before = sorted(out.rglob("*"))
    assert classify(photos, out, vit_folder, "r1", *flags) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert sorted(out.rglob("*")) == before


FIRST = ["--batch_size=16", *IN_MEMORY]
WAYS = {
    "batches of 5": ["--batch_size=5", *IN_MEMORY],
    "bundles twice": ["--batch_size=16", *REPEATED],
}
MORE_WAYS = WAYS | {"two processes, batches of 7": ["--batch_size=7", *TWO_PROCESSES]}


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(
    "ways", [WAYS, pytest.param(MORE_WAYS, marks=pytest.mark.long)], ids=["one process", "two, too"]
)
def test_batch_size_and_runner_do_not_change_the_table(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, ways: dict[str, list[str]]
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 70)
    write_broken(photos, 5)
    labels = """
        select md5(string_agg(row_text, chr(10) order by row_text)), count(*) from (
            select concat_ws('|', image_uri, image_version, image_sha256, status, error.code,
                list_transform(predictions, lambda each: each.label)) as row_text from {rows})"""
    scores = (
        "select list_transform(predictions, lambda each: each.score) from {rows} order by image_uri"
    )
    seen = {}
    for name, flags in {"first": FIRST, **ways}.items():
        out = tmp_path / name
        assert classify(photos, out, vit_folder, "r1", *flags) == 0
        seen[name] = (query(out, labels), [row[0] for row in query(out, scores)])
    for name, (hashed, found) in seen.items():
        assert hashed == seen["first"][0], name
        assert hashed[0][1] == 75
        for mine, theirs in zip(found, seen["first"][1], strict=True):
            assert mine == pytest.approx(theirs, abs=1e-5), name


def test_a_run_is_tried_again_from_any_folder(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo, *_ = write_photos(tmp_path / "photos", 3)
    (broken,) = write_broken(tmp_path / "photos", 1)
    shutil.copytree(vit_folder, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    flags = ["--input=photos", "--model=model", "--output=out", "--run_id=r1"]
    assert main(["classify", *flags, "--max_error_ratio=1"]) == 0
    shutil.copy(photo, broken)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["retry", "--output=../out", "--run_id=r1"]) == 0
    assert "4 ok, 0 error of 4 listed" in capsys.readouterr().out
