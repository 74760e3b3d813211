"""`imgcls` with input and output on servers that others wrote: a run, and those after it."""

import pathlib

import pytest

from imgcls_beam.stores import open_folder
from pipelines.__main__ import main
from tests.buckets.published import list_folders, read_record, read_rows
from tests.built_servers import BuiltServer
from tests.scenes import draw_photo, encode

PHOTOS = ("a b.png", "ü [1].png", "what?#.png", "100%25*.png", "deep/😀.png")
BROKEN = "deep/broken 1.png"


def _draw(seed: int) -> bytes:
    return encode(draw_photo(seed, (16, 16)), "PNG")


def _run(server: BuiltServer, model: pathlib.Path, *flags: str, program: str = "classify") -> int:
    places = [f"--output={server.root}/out", f"--model={model}"]
    if program == "classify":
        places += [f"--input={server.root}/photos/", "--top_k=1"]
    return main([program, *places, *flags])


@pytest.fixture(scope="module")
def first(server: BuiltServer, vit_folder: pathlib.Path) -> BuiltServer:
    """A bucket with a run of six images, one of them broken."""
    server.fill({f"photos/{name}": _draw(seed) for seed, name in enumerate(PHOTOS)})
    server.fill({f"photos/{BROKEN}": b"no image"})
    assert _run(server, vit_folder, "--run_id=r1", "--max_error_ratio=0.5") == 0
    return server


def test_a_run_has_a_row_for_each_image_and_leaves_nothing_else(first: BuiltServer) -> None:
    rows = read_rows(f"{first.root}/out")
    assert rows.keys() == {*PHOTOS, BROKEN}
    assert {name for name, row in rows.items() if row["status"] != "ok"} == {BROKEN}
    assert all(row["image_version"] for row in rows.values())
    assert list_folders(f"{first.root}/out") == ["predictions", "runs"]


def test_a_run_stands_until_it_is_replaced(first: BuiltServer, vit_folder: pathlib.Path) -> None:
    output = f"{first.root}/out"
    before = read_record(output)
    assert _run(first, vit_folder, "--run_id=r1", "--max_error_ratio=0.5") == 2
    assert read_record(output) == before
    again = ("--run_id=r1", "--max_error_ratio=0.5", "--if_exists=replace")
    assert _run(first, vit_folder, *again) == 0
    record = read_record(output)
    assert record is not None
    counts = record["counts"]
    assert (counts["listed"], counts["ok"], counts["error"]) == (6, 5, 1)
    files = [file["path"] for file in record["files"]]
    assert open_folder("output", output).list_names() == sorted([*files, "runs/r1.json"])


def test_what_failed_is_tried_again_and_the_night_after_scores_what_is_new(
    first: BuiltServer, vit_folder: pathlib.Path
) -> None:
    output = f"{first.root}/out"
    first.fill({f"photos/{BROKEN}": _draw(7)})
    assert _run(first, vit_folder, "--run_id=r1", program="retry") == 0
    assert {row["status"] for row in read_rows(output).values()} == {"ok"}
    first.fill({"photos/added.png": _draw(8), f"photos/{PHOTOS[0]}": _draw(9)})
    assert _run(first, vit_folder, "--run_id=r2", "--only=new") == 0
    rows = read_rows(output, "r2")
    assert rows.keys() == {*PHOTOS, BROKEN, "added.png"}
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {"added.png", PHOTOS[0]}
    assert list_folders(output) == ["predictions", "runs"]
