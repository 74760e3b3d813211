"""`imgcls classify` from its command line to its files."""

import hashlib
import json
import pathlib
from typing import Any

import duckdb
import jsonschema
import pyarrow.parquet as pq
import pytest

from imgcls_beam.classifying import known, trial_child
from imgcls_beam.classifying.running import Runner
from imgcls_beam.classifying.trial import Trial
from pipelines.__main__ import main
from schemas import load_schema
from tests.scenes import write_broken, write_photos

Rows = list[dict[str, Any]]


def classify(photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path, *flags: str) -> int:
    arguments = [f"--input={photos}", f"--output={output}", f"--model={model}", "--run_id=r1"]
    return main(["classify", *arguments, *flags])


def read_rows(output: pathlib.Path) -> Rows:
    paths = sorted(output.glob("predictions/*/*/*/part-*.parquet"))
    return [row for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def read_record(output: pathlib.Path, run_id: str = "r1") -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "runs" / f"{run_id}.json").read_text())
    return record


@pytest.mark.parametrize(
    ("flag", "code"),
    [((), 0), pytest.param(("--max_error_ratio=0.01",), 3, marks=pytest.mark.slow)],
)
def test_200_good_and_5_bad_images_are_200_ok_and_5_error_rows(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, flag: tuple[str, ...], code: int
) -> None:
    write_photos(tmp_path / "photos", 200)
    bad = write_broken(tmp_path / "photos", 5)
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder, *flag) == code

    rows = read_rows(tmp_path / "out")
    assert len(rows) == len({row["image_uri"] for row in rows}) == 205
    errors = {row["image_uri"]: row["error"] for row in rows if row["status"] == "error"}
    assert set(errors) == {f"file://{path}" for path in bad}
    assert {path.name: _reason(errors[f"file://{path}"]) for path in bad} == {
        "broken-0-empty.jpg": ("read", "empty"),
        "broken-1-page.jpg": ("prepare", "not_an_image"),
        "broken-2-noise.png": ("prepare", "not_an_image"),
        "broken-3-cut.jpg": ("prepare", "truncated"),
        "broken-4-stub.jpg": ("prepare", "truncated"),
    }
    for row in rows:
        jsonschema.validate(row["predictions"], load_schema("response"))
        assert (row["status"] == "ok") == (row["error"] is None) == bool(row["predictions"])
    counts = read_record(tmp_path / "out")["counts"]
    assert counts == {"listed": 205, "ok": 200, "error": 5, "skipped": 0}


def _reason(error: dict[str, Any]) -> tuple[str, str]:
    return error["stage"], error["code"]


def test_a_folder_in_which_every_image_is_broken_adds_up_too(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    write_broken(tmp_path / "photos", 12)
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder) == 3
    counts = read_record(tmp_path / "out")["counts"]
    assert counts == {"listed": 12, "ok": 0, "error": 12, "skipped": 0}
    assert [row["status"] for row in read_rows(tmp_path / "out")] == ["error"] * 12


def test_the_record_names_every_file_and_its_checksum(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 10)
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder) == 0
    record = read_record(tmp_path / "out")
    files = {each["path"]: each for each in record["files"]}
    on_disk = {
        str(path.relative_to(tmp_path / "out")): path
        for path in (tmp_path / "out" / "predictions").rglob("*.parquet")
    }
    assert set(files) == set(on_disk)
    for name, path in on_disk.items():
        assert files[name]["rows"] == pq.ParquetFile(path).metadata.num_rows
        assert files[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["state"] == "DONE"
    assert [each["where"] for each in record["sandbox"]] == ["child"]
    assert record["counts"]["listed"] == sum(each["rows"] for each in files.values()) == 10
    assert not (tmp_path / "out" / "_staging").exists()


@pytest.mark.slow
def test_each_engine_gives_the_same_rows_and_is_in_the_record_with_its_reason(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 10)
    scores = []
    for engine in ("torch", "openvino"):
        output = tmp_path / engine
        assert classify(tmp_path / "photos", output, vit_folder, f"--engine={engine}") == 0
        assert f"on {engine}\n" in capsys.readouterr().out
        (ran,) = read_record(output)["engines"]
        assert (ran["engine"], ran["why"]) == (engine, "asked for")
        rows = {row["image_uri"]: row["predictions"] for row in read_rows(output)}
        assert len(rows) == 10
        scores.append({uri: [each["score"] for each in found] for uri, found in rows.items()})
    for uri, found in scores[0].items():
        assert scores[1][uri] == pytest.approx(found, abs=1e-5)


def read_scores(output: pathlib.Path) -> dict[str, dict[str, float]]:
    return {
        row["image_uri"]: {each["label"]: each["score"] for each in row["predictions"]}
        for row in read_rows(output)
    }


@pytest.mark.slow
def test_an_engine_that_takes_over_in_the_middle_of_a_run_gives_the_rows_of_torch(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path / "photos", 48)
    flags = ("--batch_size=8", "--top_k=all")
    assert classify(tmp_path / "photos", tmp_path / "a", vit_folder, *flags, "--engine=torch") == 0

    passes: list[float] = []

    def follow(tried: Trial, elapsed_ms: float) -> Runner | None:
        passes.append(elapsed_ms)  # the first is that of a blank image
        return tried.settle() if len(passes) == 4 else None

    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known, "may_have_cuda", lambda: False)
    monkeypatch.setattr(trial_child, "_PROGRAM", "tests.faster_openvino")
    monkeypatch.setattr(trial_child, "_NICENESS", 0)
    monkeypatch.setattr(Trial, "follow", follow)
    assert classify(tmp_path / "photos", tmp_path / "b", vit_folder, *flags) == 0

    found, expected = (read_scores(tmp_path / name) for name in ("b", "a"))
    assert len(found) == 48
    assert found.keys() == expected.keys()
    for uri, scores in found.items():
        assert scores == pytest.approx(expected[uri], abs=1e-5)
    ran = {each["engine"]: each["why"] for each in read_record(tmp_path / "b")["engines"]}
    assert ran.keys() == {"torch", "openvino"}
    assert "not used here before" in ran["torch"]
    assert "images/s a core alone, torch" in ran["openvino"]
    assert len(passes) == 4, "nothing follows what has taken over"


def test_duckdb_reads_the_output_with_hive_partitioning_alone(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 10)
    run = ("--run_date=2026-11-22", "--top_k=3")
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder, *run) == 0
    files = f"{tmp_path}/out/predictions/**/*.parquet"
    answer = duckdb.sql(
        f"""select run_date, run_id, count(*), min(len(predictions)), max(predictions[1].score)
        from read_parquet('{files}', hive_partitioning = true) group by all"""
    ).fetchall()
    assert len(answer) == 1
    assert (str(answer[0][0]), *answer[0][1:4]) == ("2026-11-22", "r1", 10, 3)
    assert 0 < answer[0][4] <= 1


def test_the_same_run_id_again_is_refused_and_the_way_out_is_named(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 3)
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder) == 0
    before = _snapshot(tmp_path / "out")
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder) == 2
    message = capsys.readouterr().err
    assert "run_id='r1'" in message
    assert "another --run_id" in message
    assert _snapshot(tmp_path / "out") == before


def _snapshot(folder: pathlib.Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"--model": "no/such-model"}, 2, "model='no/such-model'"),
        ({"--model": "/no/such/folder"}, 2, "model='/no/such/folder'"),
        ({"--model": "{photos}"}, 2, "no config.json"),
        ({"--input": "{photos}/nowhere"}, 2, "no such file or folder"),
        ({"--input": "{photos}/0000.jpg/below"}, 2, "no such file or folder"),
        ({"--input": "{empty}"}, 2, "no images there"),
        ({"--input": "{photos}/*.tiff"}, 2, "no images there"),
        ({"--input": "http://127.0.0.1:9/a.jpg"}, 2, "scheme is not allowed"),
        ({"--input": "a\nb"}, 2, "control characters"),
        ({"--output": "{photos}/0000.jpg/out"}, 2, "can be written"),
        ({"--output": "/proc/out"}, 2, "can be written"),
        ({"--top_k": "0"}, 2, "top_k=0: allowed: 1 or more, or all"),
        ({"--top_k": "2.5"}, 2, "top_k='2.5'"),
        ({"--top_k": "five"}, 2, "top_k='five'"),
        ({"--top_k": "True"}, 2, "top_k='True'"),
        ({"--top-k": "-1"}, 2, "top_k=-1"),
        ({"--function_to_apply": "relu"}, 2, "sigmoid, softmax, none"),
        ({"--run_id": "a/b"}, 2, "run_id='a/b'"),
        ({"--run_date": "tomorrow"}, 2, "today, yesterday, YYYY-MM-DD"),
        ({"--max_error_ratio": "2"}, 2, "max_error_ratio=2.0"),
        ({"--if_exists": "merge"}, 2, "if_exists='merge'"),
        ({"--limit": "0"}, 2, "limit=0"),
        ({"--sample": "-1"}, 2, "sample=-1.0"),
        ({"--device": "tpu"}, 2, "auto, cpu, cuda"),
        ({"--topk": "3"}, 2, "did you mean --top_k?"),
        ({"--modle": "x"}, 2, "did you mean --model?"),
        ({"--output_tables": "x"}, 2, "did you mean --output"),
        ({"--output_table": "my-table"}, 2, "project.dataset.table"),
        ({"--only": "newest"}, 2, "allowed: all, new, errors"),
        ({"--runner": "DaskRunner"}, 2, "DaskRunner"),
    ],
)
def test_a_wrong_call_is_one_clear_sentence_and_leaves_nothing_behind(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    code: int,
    said: str,
) -> None:
    write_photos(tmp_path / "photos", 2)
    (tmp_path / "empty").mkdir()
    places = {"photos": tmp_path / "photos", "empty": tmp_path / "empty"}
    flags = {"--input": "{photos}", "--output": f"{tmp_path}/out", "--model": str(vit_folder)}
    flags |= change
    arguments = [f"{name}={value.format(**places)}" for name, value in flags.items()]
    before = _snapshot(tmp_path)
    assert main(["classify", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.startswith("imgcls classify: ")
    assert printed.err.count("\n") == 1
    assert _snapshot(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_a_word_without_a_flag_is_refused_where_beam_would_drop_it(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", "photos", f"--output={tmp_path}/out"]) == 2
    assert "images are --input=" in capsys.readouterr().err


def test_a_model_without_its_head_stops_before_the_first_row(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import safetensors.torch

    from tests.models import make_model

    folder = make_model(tmp_path / "model")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights.pop("classifier.weight")
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    write_photos(tmp_path / "photos", 2)
    assert classify(tmp_path / "photos", tmp_path / "out", folder) == 1
    assert "predict at random" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_limit_and_sample_take_the_same_images_each_time(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 30)
    taken = {}
    for run_id in ("a", "b"):
        output = tmp_path / run_id
        assert classify(tmp_path / "photos", output, vit_folder, "--limit=7", "--sample=0.6") == 0
        taken[run_id] = {row["image_uri"] for row in read_rows(output)}
    assert taken["a"] == taken["b"]
    assert len(taken["a"]) == 7


def test_rows_say_what_was_applied_and_by_whose_word(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 3)
    flags = ("--function_to_apply=sigmoid", "--top_k=all", "--batch-size=2")
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder, *flags) == 0
    for row in read_rows(tmp_path / "out"):
        assert row["params"]["function_to_apply"] == "sigmoid"
        assert row["params"]["function_source"] == "job"
        assert len(row["predictions"]) == 11
        assert row["model_id"] == str(vit_folder)
        assert row["model_key"] == f"folder@{row['model_revision'][:12]}"
        assert (row["device"], row["dtype"]) == ("cpu", "float32")
        assert row["batch_size"] <= 2
        assert row["top_label"] == row["predictions"][0]["label"]
        assert row["top_score"] == row["predictions"][0]["score"]
        margin = row["predictions"][0]["score"] - row["predictions"][1]["score"]
        assert row["top_margin"] == margin
        assert row["preprocess_ms"] > 0
        assert row["inference_ms"] > 0


def test_the_end_of_a_run_shows_rows_counts_and_places(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 4)
    write_broken(tmp_path / "photos", 1)
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder) == 3
    printed = capsys.readouterr().out
    assert "4 ok, 1 error of 5 listed" in printed
    assert "0000.jpg" in printed
    assert "read: empty" in printed
    assert f"{tmp_path}/out/runs/r1.json" in printed


def test_a_label_cannot_forge_a_line_of_the_table(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.models import make_model

    names = {index: f"\x1b[2Kcat\n1 ok <script> {index}" for index in range(11)}
    folder = make_model(tmp_path / "model", id2label=names)
    write_photos(tmp_path / "photos", 1)
    assert classify(tmp_path / "photos", tmp_path / "out", folder) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[2Kcat\\n1 ok" in printed
    assert read_rows(tmp_path / "out")[0]["top_label"].startswith("\x1b[2Kcat\n1 ok <script>")


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(
    "runner",
    [
        ("--runner=DirectRunner",),
        ("--runner=DirectRunner", "--direct_runner_bundle_repeat=2"),
        pytest.param(
            (
                "--runner=DirectRunner",
                "--direct_num_workers=2",
                "--direct_running_mode=multi_processing",
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_other_local_runners_give_the_same_table(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, runner: tuple[str, ...]
) -> None:
    write_photos(tmp_path / "photos", 20)
    write_broken(tmp_path / "photos", 2)
    ratio = "--max_error_ratio=1"
    assert classify(tmp_path / "photos", tmp_path / "one", vit_folder, ratio) == 0
    assert classify(tmp_path / "photos", tmp_path / "two", vit_folder, ratio, *runner) == 0
    assert _to_table(tmp_path / "two") == _to_table(tmp_path / "one")


def _to_table(output: pathlib.Path) -> list[tuple[Any, ...]]:
    return sorted(
        (
            row["image_uri"],
            row["status"],
            tuple((each["label"], round(each["score"], 4)) for each in row["predictions"]),
        )
        for row in read_rows(output)
    )
