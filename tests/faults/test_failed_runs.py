"""A run that fails publishes nothing, leaves nothing behind, and can be started again."""

import pathlib

import fsspec
import pyarrow.parquet as pq
import pytest

from imgcls_beam import prefetch
from imgcls_beam.elements import EncodedImage, Failure, PixelArray
from imgcls_beam.sandbox import prepare_in_box
from imgcls_beam.sinks import jsonl
from pipelines import run_failures
from pipelines.__main__ import main
from tests.scenes import write_photos


def classify(photos: pathlib.Path, output: pathlib.Path | str, model: pathlib.Path) -> int:
    flags = [f"--input={photos}", f"--output={output}", f"--model={model}", "--run_id=r1"]
    return main(["classify", *flags])


def break_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in the prepare stage, which the image of that name brings out."""

    def prepare_badly(image: EncodedImage, *rest: object) -> list[PixelArray | Failure]:
        if image.ref.uri.endswith(name):
            raise ZeroDivisionError("a defect")
        return prepare_in_box(image, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(prefetch, "prepare_in_box", prepare_badly)


def test_a_defect_in_a_stage_fails_the_run_and_leaves_nothing(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 40)
    with monkeypatch.context() as broken:
        break_at("0030.jpg", broken)
        assert classify(photos, output, vit_folder) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("imgcls classify: the run failed and nothing was published")
    assert "a defect" in message
    assert not output.exists()

    assert classify(photos, output, vit_folder) == 0
    (part,) = output.glob("predictions/*/*/run_id=r1/*.parquet")
    assert pq.ParquetFile(part).metadata.num_rows == 40


@pytest.mark.slow
def test_a_failed_run_leaves_what_others_published(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, output = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 10)
    flags = [f"--input={photos}", f"--output={output}", f"--model={vit_folder}"]
    assert main(["classify", *flags, "--run_id=before"]) == 0
    files = sorted(path for path in output.rglob("*") if path.is_file())
    break_at("0009.gif", monkeypatch)
    assert classify(photos, output, vit_folder) == 1
    assert sorted(path for path in output.rglob("*") if path.is_file()) == files


def test_an_interrupt_is_one_sentence_and_leaves_nothing(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    write_photos(tmp_path / "photos", 3)
    monkeypatch.setattr(run_failures, "run_to_end", interrupt)
    assert classify(tmp_path / "photos", tmp_path / "out", vit_folder) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("imgcls classify: interrupted; nothing was published")
    assert "the same command" in said[0]
    assert not (tmp_path / "out").exists()


def test_images_and_rows_may_lie_on_any_file_system(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    store = fsspec.filesystem("memory")
    for path in write_photos(tmp_path / "photos", 12):
        store.pipe(f"/failed-runs/in/{path.name}", path.read_bytes())
    flags = ["--input=memory://failed-runs/in", "--output=memory://failed-runs/out"]
    try:
        assert main(["classify", *flags, f"--model={vit_folder}", "--run_id=m1"]) == 0
        (part,) = store.glob("/failed-runs/out/predictions/*/*/run_id=m1/*.parquet")
        with store.open(part) as file:
            rows = pq.ParquetFile(file).read().to_pylist()
        assert {row["status"] for row in rows} == {"ok"}
        assert len({row["image_uri"] for row in rows}) == 12
        assert store.find("/failed-runs/out/_staging") == []
        assert store.exists("/failed-runs/out/runs/m1.json")
    finally:
        store.rm("/failed-runs", recursive=True)


@pytest.mark.parametrize("has_rows", [True, False])
def test_responses_that_cannot_be_published_are_said_to_be_missing(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    has_rows: bool,
) -> None:
    """The rows are committed first: what fails then must not say that they are not."""
    photos, output, answers = tmp_path / "photos", tmp_path / "out", tmp_path / "answers.jsonl"
    write_photos(photos, 5)

    def fail(*arguments: object, **more: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(jsonl, "commit_jsonl", fail)
    flags = [f"--input={photos}", f"--model={vit_folder}", f"--output_jsonl={answers}"]
    more = [f"--output={output}", "--run_id=r1"] if has_rows else []
    assert main(["classify", *flags, *more]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "no space left on device" in message
    assert ("the rows were published, but not the responses" in message) is has_rows
    assert ("nothing was published" in message) is not has_rows
    assert (output / "runs" / "r1.json").exists() is has_rows
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("answ")) == []


def test_an_interrupt_between_rows_and_responses_says_what_was_published(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    write_photos(tmp_path / "photos", 3)
    monkeypatch.setattr(run_failures, "read_counts", interrupt)  # what comes after the pipeline
    flags = [f"--input={tmp_path}/photos", f"--model={vit_folder}", f"--output={tmp_path}/out"]
    assert main(["classify", *flags, f"--output_jsonl={tmp_path}/a.jsonl", "--run_id=r1"]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "interrupted; the rows were published, but perhaps not the responses" in message
    assert (tmp_path / "out" / "runs" / "r1.json").exists()
