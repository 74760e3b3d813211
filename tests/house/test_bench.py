import math
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

FIGURES = (
    *("pipeline, one by one, steady", "pipeline, batches, steady", "job, steady"),
    *("pipeline, one by one, whole", "pipeline, batches, whole", "job, whole"),
    *("pipeline, one by one, peak memory", "pipeline, batches, peak memory", "job, peak memory"),
    *("list", "read", "prepare", "predict", "forward", "bare forward", "row", "sink"),
)
RATIOS = (
    *("job / pipeline one by one, steady", "job / pipeline at its best, steady"),
    *("job / pipeline one by one, whole", "job / pipeline at its best, whole"),
    *("job / its forward alone", "job / its prepare alone", "job / prepare, then forward"),
    "forward / bare forward",
)
_ROW = re.compile(r"(\S.*?)\s{2,}(\S+)\s+(\S+) – (\S+)  \S+")


@pytest.fixture(scope="module")
def printed() -> str:
    command = [sys.executable, "-m", "bench", "--images=8", "--rounds=1", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _read_rows(printed: str) -> dict[str, tuple[float, ...]]:
    matches = filter(None, map(_ROW.fullmatch, printed.splitlines()))
    return {
        each[1]: tuple(float(text.replace(",", "")) for text in each.groups()[1:])
        for each in matches
    }


@pytest.mark.slow
def test_every_row_is_there_once_with_positive_finite_numbers(printed: str) -> None:
    rows = _read_rows(printed)
    assert sorted(rows) == sorted((*FIGURES, *RATIOS))
    for name, values in rows.items():
        assert all(math.isfinite(value) and value > 0 for value in values), (name, values)


@pytest.mark.slow
def test_the_job_and_the_pipeline_say_the_same(printed: str) -> None:
    found = re.search(r"equal on (\d+) of (\d+) images; largest score difference (\S+)", printed)
    assert found is not None, printed
    assert found[1] == found[2] == "8"
    assert 0.0 <= float(found[3]) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "jsonl", "txt", "parquet"])
def test_a_long_manifest_prints_its_memory_as_it_went(form: str) -> None:
    """The figures are read by people; here it counts that all marks are reached."""
    command = [sys.executable, "-m", "bench.manifests", "--lines=3000", f"--form={form}"]
    done = subprocess.run(
        [*command, "--limit=1000"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert f"3,000 lines of {form}" in done.stdout
    assert "images    1,000," in done.stdout
    marks = re.findall(r"at +(\d+)%  ([\d,]+) MB", done.stdout)
    assert [mark for mark, _ in marks] == ["1", "10", "25", "50", "75", "100"]
    peak = re.search(r"peak +([\d,]+) MB", done.stdout)
    assert peak is not None
    assert all(0 < int(each.replace(",", "")) <= int(peak[1].replace(",", "")) for _, each in marks)
