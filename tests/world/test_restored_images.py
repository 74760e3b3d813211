"""`--only=new` after an image, or what is asked of it, went back to what it was before."""

import os
import pathlib

import pytest

from imgcls_beam.warehouse.querying import open_runs
from pipelines.__main__ import main
from tests.gallery import Open, ask, open_views
from tests.pipelines.test_classify import read_record
from tests.scenes import draw_photo, encode

pytestmark = pytest.mark.slow

PICTURES = {"A": (1, 1.7e9), "B": (2, 1.8e9)}
"""Of each version its seed, and when it was written."""
NIGHTS: dict[str, tuple[str, list[str]]] = {
    "another version in between": ("n1", ["A", "B", "A"]),
    "fewer labels in between": ("n1", ["A", "A --top_k=1", "A"]),
    "another function in between": ("n1", ["A", "A --function_to_apply=sigmoid", "A"]),
    "another preparation in between": ("n1", ["A", "A --preprocess=fast", "A"]),
}
"""The run that scored what stands there in the end, and what each night finds and asks."""


def classify(folder: pathlib.Path, model: pathlib.Path, asked: str, run_id: str) -> None:
    version, *flags = asked.split()
    seed, written_at = PICTURES[version]
    picture = folder / "in" / "0.jpg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(encode(draw_photo(seed)))
    os.utime(picture, (written_at, written_at))
    flags += [f"--model={model}", f"--input={picture.parent}", f"--output={folder / 'out'}"]
    assert main(["classify", *flags, f"--run_id={run_id}", "--only=new"]) == 0


@pytest.mark.parametrize(("scored", "nights"), NIGHTS.values(), ids=list(NIGHTS))
def test_latest_has_the_scores_for_whose_sake_the_image_was_skipped(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, scored: str, nights: list[str]
) -> None:
    for number, asked in enumerate(nights, start=1):
        classify(tmp_path, vit_folder, asked, f"n{number}")
    last = f"n{len(nights)}"
    assert read_record(tmp_path / "out", last)["counts"]["skipped"] == 1
    for open_output in (open_runs, open_views):
        check(open_output, str(tmp_path / "out"), last, scored)


def check(open_output: Open, output: str, last: str, scored: str) -> None:
    connection = open_output(output)
    shown = "image_version, image_sha256, predictions, params"
    latest = ask(connection, f"SELECT run_id, predicted_run_id, {shown} FROM predictions_latest")
    scores = ask(connection, f"SELECT {shown} FROM predictions WHERE run_id = '{scored}'")
    found = ask(connection, f"SELECT image_version FROM predictions WHERE run_id = '{last}'")
    assert latest == [(last, scored, *scores[0])]
    assert latest[0][2] == found[0]
