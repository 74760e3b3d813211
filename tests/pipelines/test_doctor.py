"""`imgcls doctor`: what is well, what is not, and how close the scores are."""

import argparse
import pathlib
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.preparing import geometry
from pipelines import doctor_flags
from pipelines import flags as classify_flags
from pipelines.__main__ import main
from tests.scenes import write_broken, write_photos

AROUND = ("packages", "machine", "sandbox", "runner", "credentials", "disk", "hub")
DEMO = pathlib.Path(__file__).parents[2] / "demo"


@pytest.mark.slow
def test_it_checks_everything_that_is_given_and_says_all_is_well(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 5)
    flags = [f"--model={vit_folder}", f"--input={tmp_path / 'photos'}"]
    flags += [f"--output={tmp_path / 'out'}", f"--output_jsonl={tmp_path / 'a.jsonl'}"]
    assert main(["doctor", *flags]) == 0
    printed = capsys.readouterr().out
    checks = re.findall(r"^(\w+) +(\w+) ", printed, re.MULTILINE)
    assert [name for _, name in checks[:-1]] == [*AROUND, "input", "output", "model"]
    assert {mark for mark, _ in checks[:-1]} == {"ok"}
    assert printed.endswith("all is well\n")
    assert f"file://{tmp_path}/photos/0000.jpg" in printed
    assert "11 labels, softmax" in printed
    assert re.search(r"run by (torch|openvino) \([\d.]+ images/s a core alone, ", printed)
    assert "model.safetensors" in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_parity_compares_the_users_own_images_and_prints_the_largest_difference(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 10)
    write_broken(tmp_path / "photos", 2)
    grey = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "photos" / "deep.png")
    flags = [f"--model={vit_folder}", f"--input={tmp_path / 'photos'}", "--parity=13"]
    assert main(["doctor", *flags]) == 0
    printed = capsys.readouterr().out
    found = re.search(r"10 of 13 images equal; the largest score difference is (\S+)", printed)
    assert found is not None, printed
    assert float(found[1]) <= 1e-5
    assert "2 refused by both" in printed
    assert "1 of 16- or 32-bit grey" in printed


def _tell_shift(
    capsys: pytest.CaptureFixture[str], photos: pathlib.Path, *flags: str
) -> tuple[str, ...]:
    """What it says of fast scores of the demo's model: largest, mean, changed, of, in percent."""
    sample = [f"--model={DEMO / 'model'}", f"--input={photos}", "--parity=10"]
    assert main(["doctor", *sample, "--preprocess=fast", *flags]) == 0
    printed = capsys.readouterr().out
    found = re.search(
        r"preprocess=fast beside exact: a score moves by up to (\S+), by (\S+) in .*; "
        r"another first label: (\d+) of (\d+) images \((\S+)%\)",
        printed,
    )
    assert found is not None, printed
    assert "10 of 10 images equal" in printed  # what is exact stays exact
    return found.groups()


@pytest.mark.slow
def test_parity_says_how_far_fast_preparation_moves_the_scores(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A property of the images and no problem, even where it is large."""
    for path in sorted(DEMO.glob("images/*-*-*.*"))[:10]:
        picture = Image.open(path).convert("RGB")
        large = picture.resize((picture.width * 5, picture.height * 5), Image.Resampling.BICUBIC)
        large.save(tmp_path / f"{path.stem}.jpg", quality=92)
    largest, mean, changed, images, percent = _tell_shift(capsys, tmp_path)
    assert 0 < float(mean) < float(largest) < 0.05
    assert (changed, images, percent) == ("0", "10", "0.0")

    def draw_black(image: Image.Image, size: tuple[int, int], *_: object) -> Image.Image:
        return Image.new("RGB", size[::-1])

    monkeypatch.setattr(geometry, "resize_fast", draw_black)
    # Decoding in this process, where the broken function stands.
    largest, _, changed, _, percent = _tell_shift(capsys, tmp_path, "--sandbox=off")
    assert float(largest) > 0.5
    assert int(changed) > 5
    assert float(percent) == int(changed) * 10


def test_a_model_that_answers_otherwise_is_a_problem(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A defect of ours is made: the scores of the job are shifted."""
    from imgcls_beam import predicting

    rank_images = predicting.rank_images

    def rank_shifted(logits: np.ndarray, *arguments: object) -> object:
        shift = np.linspace(0, 0.01, logits.shape[1], dtype=np.float32)
        return rank_images(logits + shift, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(predicting, "rank_images", rank_shifted)
    write_photos(tmp_path / "photos", 4)
    flags = [f"--model={vit_folder}", f"--input={tmp_path / 'photos'}", "--parity=4"]
    assert main(["doctor", *flags]) == 1
    printed = capsys.readouterr().out
    assert "0 of 4 images equal" in printed
    assert "BAD parity" in printed
    assert "4 of 4 images have other scores than the reference" in printed


def test_each_problem_is_a_line_and_the_other_checks_go_on(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    flags = [f"--model={tmp_path / 'gone'}", f"--input={tmp_path / 'empty'}"]
    assert main(["doctor", *flags, f"--output={tmp_path / 'file' / 'out'}"]) == 2
    printed = capsys.readouterr().out
    assert re.findall(r"^(ok|BAD) +(\w+)", printed, re.MULTILINE) == [
        *(("ok", name) for name in AROUND),
        *(("BAD", "input"), ("BAD", "output"), ("BAD", "model")),
    ]
    assert printed.endswith("3 problem(s)\n")


@pytest.mark.parametrize(
    "flag",
    [
        *("--parity=0", "--parity=many", "--parityy=3", "--top_k=0", "--preprocess=rough"),
        *("--max_error_ratio=2", "--file_bytes=0", "--run_date=tomorrow", "--only=old"),
        *(
            "--gpu=v9",
            "--gpu=l4",
            "--uri_column=photo",
            "--compare_with=google/vit-base-patch16-224",
        ),
    ],
)
def test_a_wrong_flag_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", flag]) == 2
    assert capsys.readouterr().err.startswith("imgcls doctor: ")


VALUES = {
    "image_column": None,  # one of the two columns
    "output_jsonl": None,  # compare_with wants rows
    "limit": "3",
    "sample": "0.5",
    "allow_empty": "true",
    "manifest_encoding": "cp1252",
    "read_timeout_s": "9",
    "sandbox": "off",
    "weights": "safetensors",
    "function_to_apply": "sigmoid",
    "device": "cpu",
    "dtype": "float32",
    "engine": "torch",
    "dedupe": "off",
    "preprocess": "fast",
    "run_id": "nightly-{run_date}",
    "run_date": "yesterday",
    "if_exists": "replace",
    "max_error_ratio": "0.2",
    "gpu": "none",
    "gpu_stages": "all",
    "only": "all",
}
"""A value of each flag of `classify` that takes no number; None where another excludes it."""


def test_every_flag_of_a_job_is_taken_and_reaches_the_checks() -> None:
    flags = []
    for action in classify_flags.make_parser()._actions:
        name = action.dest
        if isinstance(action, argparse._StoreTrueAction):
            flags.append(f"--{name}")
        elif action.nargs != 0 and VALUES.get(name, "7") is not None:
            flags.append(f"--{name}={VALUES.get(name, '7')}")
    asked = doctor_flags.parse_flags([*flags, "--direct_num_workers=2"])
    assert (asked.input.limit, asked.input.manifest.encoding) == (3, "cp1252")
    assert (asked.read.max_bytes, asked.read.dedupe, asked.read.timeout_s) == (7, "off", 9.0)
    assert (asked.decode.max_pixels, asked.decode.preprocess) == (7, "fast")
    assert (asked.output.if_exists, asked.output.report) == ("replace", True)
    assert (asked.model.top_k, asked.model.threads) == (7, 7)
    assert [each.function_to_apply for each in asked.models] == ["sigmoid"] * 2


@pytest.mark.parametrize("page", ["README.md", "docs/usage.md", "docs/engines.md"])
def test_a_command_of_the_pages_can_be_checked_as_it_is(page: str) -> None:
    text = (DEMO.parent / page).read_text().replace("\\\n", " ")
    lines = re.findall(r"^imgcls classify (.*-.*)$", text, re.MULTILINE)
    assert lines
    for line in lines:
        flags = [word for word in shlex.split(line) if word != "--help_all"]
        doctor_flags.parse_flags(flags)


def test_workers_with_a_gpu_ask_for_none_on_this_machine() -> None:
    cloud = ["--runner=DataflowRunner", "--project=p", "--region=us-central1", "--gpu=l4"]
    asked = doctor_flags.parse_flags(cloud)
    assert asked.model.device == "auto"
    assert asked.beam.machine_type == "g2-standard-8"


def test_both_models_of_a_comparison_are_checked(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = f"--compare_with={tmp_path / 'gone'}"
    assert main(["doctor", f"--model={vit_folder}", f"--output={tmp_path / 'out'}", other]) == 2
    assert re.search(r"BAD model .*gone", capsys.readouterr().out)


def test_the_token_is_never_shown(
    vit_folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    assert main(["doctor", f"--model={vit_folder}"]) == 0
    printed = capsys.readouterr()
    assert "hub: found" in printed.out
    assert "canary" not in printed.out + printed.err
