"""A job over nothing but trouble: each image has its row, twice the same, and no process dies."""

import pathlib
from typing import Any

import pyarrow.dataset as ds
import pytest

from imgcls_beam.errors import STAGE_OF, FailureCode, Stage
from imgcls_beam.sandbox import own_box
from pipelines.__main__ import main
from tests.extent import choose
from tests.hostile.folders import write_hostile

OF_THE_WORKER = {FailureCode.CRASHED, FailureCode.TIMEOUT}
MAX_MS = 6000
"""Of a core, for the costliest image: two seconds on Zen 4."""
SAME = (
    "image_uri",
    "status",
    "predictions",
    "error",
    "image_sha256",
    "image_width",
    "image_height",
)

Rows = dict[str, dict[str, Any]]


def classify(folder: pathlib.Path, model: pathlib.Path, run_id: str, *flags: str) -> Rows:
    """The rows of a run over the folder, by the names of the files."""
    out = folder.parent / "out"
    places = [f"--input={folder}", f"--output={out}", f"--model={model}", f"--run_id={run_id}"]
    more = ["--engine=torch", "--max_error_ratio=1", "--quiet", "--threads=1", *flags]
    assert main(["classify", *places, *more]) == 0
    rows = ds.dataset(out / "predictions", format="parquet", partitioning="hive").to_table()
    wanted = [row for row in rows.to_pylist() if row["run_id"] == run_id]
    return {row["image_uri"].rpartition("/")[2]: row for row in wanted}


def check(rows: Rows, listed: int) -> None:
    """Every file has one row, of a code that an image can have, and the good ones are good."""
    assert len(rows) == listed
    for name, row in rows.items():
        if row["status"] == "ok":
            assert row["preprocess_ms"] < MAX_MS, name
            assert row["predictions"], name
            continue
        code = FailureCode(row["error"]["code"])
        assert " good " not in name, row["error"]
        assert code is FailureCode.EMPTY or STAGE_OF[code] is Stage.PREPARE, name
        assert code not in OF_THE_WORKER, (name, row["error"])


def run_twice(folder: pathlib.Path, model: pathlib.Path, listed: int, *flags: str) -> None:
    first, second = (classify(folder, model, run_id, *flags) for run_id in ("a", "b"))
    check(first, listed)
    check(second, listed)
    for name, row in first.items():
        assert {key: row[key] for key in SAME} == {key: second[name][key] for key in SAME}, name
    assert sum(len(own.box._dead) for own in own_box._OWN.values()) == 0


@pytest.mark.slow
def test_bombs_mutants_and_polyglots_are_rows_and_twice_the_same(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    listed = write_hostile(tmp_path / "in", 8, 32 << 10, is_long=False)
    assert listed >= 400
    run_twice(tmp_path / "in", vit_folder, listed, "--max_image_pixels=16777216")


@pytest.mark.long(minutes=3)
@pytest.mark.timeout(1800)
def test_thousands_of_mutants_and_every_bomb_are_rows_and_twice_the_same(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    """The first of the mutants of each seed, or all."""
    mutants, least = choose((360, 5200), (150, 2400))
    listed = write_hostile(tmp_path / "in", mutants, 512 << 10, is_long=True)
    assert listed >= least
    run_twice(tmp_path / "in", vit_folder, listed)
