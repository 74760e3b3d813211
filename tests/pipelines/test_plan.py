"""`imgcls plan`: what it says before a run, and that it leaves nothing behind."""

import csv
import dataclasses
import json
import pathlib
import re
import tempfile
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from imgcls_beam.models import resolve_model
from imgcls_beam.options import JobOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.planning import Listing, ModelFacts, Plan
from pipelines import pilot, plan_flags, plan_text
from pipelines.__main__ import main
from schemas import load_schema
from tests.scenes import write_broken, write_photos

Out = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
START_S = 2.0

FACTS = ModelFacts(
    model_id="owner/model",
    revision="0" * 40,
    weights=None,
    parameters=None,
    size_bytes=4,
    labels=("cat\x1b[2J", "dog\u202eevil", "x" * 500),
    function_to_apply="softmax",
    why_function="asked for",
    processor="Processor",
    licence=None,
    device="cuda:0",
    why_device="asked for",
    dtype="float32",
    why_dtype="asked for",
    engine=None,
    why_engine="",
    is_kept=None,
    batch_size=64,
    threads=None,
    preprocess="exact",
    preprocess_way="as it is",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 12)
    write_broken(folder, 4)
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture
def quick(monkeypatch: Patch) -> None:
    """A start takes seconds, and a process; one test has a real one. Small runs are smaller."""
    monkeypatch.setattr(pilot, "time_start", lambda words: START_S)
    monkeypatch.setattr(pilot, "_MOST_IMAGES", 32)


def ask(capsys: Out, *argv: str) -> dict[str, Any]:
    """What `plan` answers, held against its schema."""
    capsys.readouterr()
    code = main(["plan", *argv, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(load_schema("plan.answer")).validate(answer)
    assert answer["exit_code"] == code
    return answer


def list_all(folder: pathlib.Path) -> list[tuple[str, int]]:
    return sorted((str(each), each.stat().st_mtime_ns) for each in folder.rglob("*"))


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_plan_says_what_a_run_would_do_and_writes_nothing(
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: Out,
    monkeypatch: Patch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = list_all(photos)
    flags = [f"--input={photos}", f"--model={vit_folder}", f"--output={tmp_path}/out"]
    answer = ask(capsys, *flags, "--price_per_hour=3.6", "--num_workers=3", "--gpu=l4")
    assert list_all(photos) == before
    assert list(tmp_path.iterdir()) == []

    listing, probe, model = answer["listing"], answer["probe"], answer["model"]
    assert (listing["references"], listing["images"], listing["scored"]) == (16, 16, 0)
    assert listing["passed_over"] == [{"reason": "suffix", "suffix": ".txt", "count": 1}]
    images = [each for each in photos.iterdir() if each.suffix != ".txt"]
    assert listing["size_bytes"] == sum(each.stat().st_size for each in images)
    assert (probe["images"], probe["ok"], answer["expected_errors"]) == (16, 12, 4)
    errors = {each["error"]: each["count"] for each in probe["errors"]}
    assert sum(errors.values()) == 4
    assert errors["read: empty"] == 1
    assert {each["name"] for each in probe["formats"]} >= {"JPEG", "PNG", "WEBP", "BMP", "GIF"}
    assert {each["name"] for each in probe["modes"]} == {"RGB", "P"}
    assert set(probe["images_per_s"]) == {"read", "prepare", "predict"}
    assert probe["input_px"] == [32, 32]
    assert (model["labels"], model["function_to_apply"]) == (11, "softmax")
    assert model["revision"] == resolve_model(str(vit_folder), None).revision
    here, three, gpu = answer["estimates"]
    assert (here["where"], here["workers"]) == ("this machine", 1)
    assert here["start_s"] == START_S
    assert here["total_s"][0] == pytest.approx(START_S + here["listing_s"] + here["steady_s"][0])
    assert here["cost"][0] == pytest.approx(here["total_s"][0] / 1000)
    assert three["steady_s"][0] == pytest.approx(here["steady_s"][0] / 3)
    assert gpu["where"] == "3 × l4 (g2-standard-8)"
    assert "GFLOP" in gpu["basis"]
    assert answer["shift"] is None


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_what_is_scored_already_is_told_and_left_out_where_that_is_asked(
    photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path, capsys: Out
) -> None:
    flags = [f"--input={photos}", f"--model={vit_folder}", f"--output={tmp_path}/out"]
    assert main(["classify", *flags, "--run_id=a", "--max_error_ratio=1"]) == 0
    (photos / "newer.jpg").write_bytes(next(photos.glob("*.jpg")).read_bytes())
    try:
        rows = list_all(tmp_path)
        plain = ask(capsys, *flags)["listing"]
        assert (plain["references"], plain["scored"], plain["skipped"]) == (17, 12, 0)
        new = ask(capsys, *flags, "--only=new")
        assert new["listing"]["references"] == 5
        assert (new["listing"]["scored"], new["listing"]["skipped"]) == (12, 12)
        assert (new["probe"]["images"], new["probe"]["ok"]) == (5, 1)
        failed = ask(capsys, *flags, "--only=errors", "--run_id=a")["listing"]
        assert (failed["references"], failed["scored"]) == (4, None)
        assert list_all(tmp_path) == rows
        refused = ask(capsys, *flags, "--run_id=a")
        assert (refused["exit_code"], refused["error"]["option"]) == (2, "run_id")
    finally:
        (photos / "newer.jpg").unlink()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_lines_that_name_one_image_are_predicted_once(
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: Out,
    monkeypatch: Patch,
) -> None:
    def tell_time(refs: tuple[object, ...], job: JobOptions, _scoring: object) -> float:
        return 1 + len(refs) * (0.1 if job.read.dedupe == "off" else 0.01)

    monkeypatch.setattr(pilot, "_time_run", tell_time)
    uris = sorted(photos.glob("0*"))
    lines = [(uri, shelf) for uri in uris for shelf in (1, 1, 2, 3)]
    with (tmp_path / "lines.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("uri", "shelf"), *lines, ("", 4)])
    flags = [f"--input_manifest={tmp_path}/lines.csv", "--uri_column=uri", "--carry_columns=shelf"]
    answer = ask(capsys, *flags, f"--model={vit_folder}")
    listing = answer["listing"]
    assert (listing["references"], listing["images"], listing["duplicates"]) == (37, 12, 12)
    assert listing["failures"] == [{"name": "list: invalid_reference", "count": 1}]
    assert (listing["without_size"], listing["scored"], answer["expected_errors"]) == (12, None, 1)
    assert answer["pace"]["reference_s"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_fast_preparation_is_held_beside_exact_on_the_probe(
    photos: pathlib.Path, vit_folder: pathlib.Path, capsys: Out
) -> None:
    flags = [f"--input={photos}", f"--model={vit_folder}"]
    shift = ask(capsys, *flags, "--preprocess=fast")["shift"]
    assert shift["images"] == 12
    assert 0 < shift["mean"] <= shift["largest"] < 0.1
    capsys.readouterr()
    assert main(["plan", *flags, "--preprocess=fast", "--limit=1"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"preprocess=fast beside exact: a score moves by up to \S+e-", printed)


@pytest.mark.usefixtures("quick")
def test_no_images_are_a_plan_too_where_that_is_allowed(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path, capsys: Out
) -> None:
    (tmp_path / "photos").mkdir()
    flags = [f"--input={tmp_path}/photos", f"--model={vit_folder}"]
    answer = ask(capsys, *flags, "--allow_empty")
    assert (answer["listing"]["references"], answer["probe"]) == (0, None)
    assert answer["estimates"][0]["images_per_s"] is None
    assert ask(capsys, *flags)["exit_code"] == 2
    capsys.readouterr()
    assert main(["plan", *flags, "--allow_empty"]) == 0
    assert "there is no image to look at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "option"),
    [
        (["--input=photos", "--only=new"], "only"),
        (["--input=photos", "--dry_run"], "dry_run"),
        (["--input=photos", "--price_per_hour=cheap"], "price_per_hour"),
        (["--input=photos", "--price_per_hour=-1"], "price_per_hour"),
        (["--input=photos", "--price_per_hour=nan"], "price_per_hour"),
        (["--input=photos", "--gpu=k80"], "gpu"),
        (["--input=photos", "--gpu_stages=classify"], "gpu_stages"),
        (["--input=photos", "--top_q=3"], "flag"),
        (["--input=photos", "--num_workers=two"], "flag"),
        (["--input=/nowhere/photos"], "input"),
        ([], "input"),
        (["--input=photos", "--output=out", "--runner=DataflowRunner"], "input"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_a_run_would_refuse_is_refused(flags: list[str], option: str, capsys: Out) -> None:
    answer = ask(capsys, *flags)
    assert (answer["exit_code"], answer["error"]["option"]) == (2, option)


def test_responses_that_are_there_already_are_refused(
    photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path, capsys: Out
) -> None:
    (tmp_path / "answers.jsonl").write_text("{}\n")
    flags = [f"--input={photos}", f"--model={vit_folder}"]
    answer = ask(capsys, *flags, f"--output_jsonl={tmp_path}/answers.jsonl")
    assert (answer["exit_code"], answer["error"]["option"]) == (2, "output_jsonl")


@pytest.mark.parametrize(
    ("flags", "added"),
    [
        ([], []),
        (["--only=new"], ["--only=new"]),
        (["--report", "--limit=7", "--run_id=a", "--if_exists=replace"], ["--report"]),
        (["--only=new", "--report"], ["--only=new", "--report"]),
    ],
)
def test_a_start_has_what_a_run_does_at_any_size(flags: list[str], added: list[str]) -> None:
    asked = plan_flags.parse_flags(["--input=photos", "--model=vit", "--output=out", *flags])
    own = [each for each in asked.start_flags if each not in ("--input=photos", "--model=vit")]
    names = ("--output", "--run_id", "--limit", "--if_exists", "--only", "--report")
    assert [each for each in own if each.startswith(names)] == added


@pytest.mark.slow
def test_a_start_is_a_run_of_one_image_in_a_process_of_its_own(
    photos: pathlib.Path, vit_folder: pathlib.Path, capsys: Out, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(pilot, "_MOST_IMAGES", 32)
    flags = [f"--input={photos}", f"--model={vit_folder}", "--sample=0.9", "--report"]
    answer = ask(capsys, *flags)
    assert answer["exit_code"] == 0
    assert answer["pace"]["start_s"] > 0.3  # Python and Beam alone take longer


@pytest.mark.slow
def test_a_start_that_fails_is_told_with_its_reason(capsys: Out, photos: pathlib.Path) -> None:
    with pytest.raises(Exception, match=r"a run of one image failed .*no such"):
        pilot.time_start([f"--input={photos}", "--model=/nowhere/model"])


def test_a_plan_fits_the_terminal_and_shows_what_would_move_its_cursor(
    monkeypatch: Patch,
) -> None:
    listing = Listing(
        references=3,
        images=2,
        failures={},
        scored=2,
        skipped=0,
        duplicates=1,
        suffixes={},
        passed_over=PassedOver(),
        drawn=(),
        elapsed_s=0.0,
    )
    for columns in (20, 60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = plan_text.write_plan(Plan(listing, FACTS))
        assert max(map(len, text.splitlines())) <= max(40, min(columns, 100))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"cat\x1b[2J" in text
    assert "2 already scored; --only=new leaves them out" in text
    none = dataclasses.replace(listing, scored=None, duplicates=0)
    assert "scored" not in plan_text.write_plan(Plan(none, FACTS))
