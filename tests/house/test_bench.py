import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

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
    assert "rows      1,000," in done.stdout
    repeated = 0 if form == "txt" else 99  # of lines 20, 30, …, 1,000 each image stands above
    assert f"predicted {1000 - repeated:,} images" in done.stdout
    marks = re.findall(r"at +(\d+)%  ([\d,]+) MB", done.stdout)
    assert [mark for mark, _ in marks] == ["1", "10", "25", "50", "75", "100"]
    peak = re.search(r"peak +([\d,]+) MB", done.stdout)
    assert peak is not None
    assert all(0 < int(each.replace(",", "")) <= int(peak[1].replace(",", "")) for _, each in marks)


def test_the_benchmark_of_the_gpu_measures_a_cpu_just_as_well() -> None:
    flags = ["--device=cpu", "--model=vit-192", "--images=4", "--at_least_s=0", "--batch_size=3"]
    done = run_gpu(*flags, "--dtype=float32", "--dtype=bfloat16")
    assert done.returncode == 0, done.stderr
    head, prepare, columns, *rows = done.stdout.splitlines()
    assert "vit-192, 4 images" in head
    assert float(prepare.split()[-2].replace(",", "")) > 0
    assert [row.split()[:2] for row in rows] == [["float32", "3"], ["bfloat16", "3"]]
    for row in rows:
        figures = [float(each.replace(",", "")) for each in row.split()[2:]]
        assert len(figures) == len(columns.split()) - 2
        assert all(map(math.isfinite, figures))
        assert min(figures[:-1]) > 0


def test_the_benchmark_of_the_gpu_says_that_there_is_none() -> None:
    done = run_gpu(CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("bench.gpu: torch finds no CUDA device here\n")


def run_gpu(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.gpu", *flags]
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=settings)
