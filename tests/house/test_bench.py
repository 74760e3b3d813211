import contextlib
import io
import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

from bench import __main__ as program
from bench import ceilings, loop_inputs, manifests, models, running, ways
from bench.answers import compare, read_rows
from bench.gallery import Gallery
from bench.peers import transformers_pipeline
from bench.timm_rates import read_published
from imgcls_beam.classifying.cpu import has_bfloat16

ROOT = pathlib.Path(__file__).parents[2]
FEW = 20


@pytest.fixture(scope="module")
def printed() -> str:
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
        patch.setattr(running, "MOST_OTHERS", math.inf)
        code = program.main(["--quick"])
    assert code == 0, text.getvalue()
    return text.getvalue()


def _read_cells(printed: str, name: str) -> list[str]:
    (line,) = (line for line in printed.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.slow
@pytest.mark.parametrize("way", [ways.PIPELINE_HERE, ways.CLOCKED_JOB], ids=["pipeline", "job"])
def test_each_way_has_figures_and_the_scores_of_the_pipeline(printed: str, way: ways.Way) -> None:
    *figures, difference = _read_cells(printed, way.name)
    numbers = [float(each.replace(",", "")) for each in figures]
    assert len(numbers) == 6
    assert all(math.isfinite(number) and number > 0 for number in numbers)
    assert float(difference) <= 1e-5


@pytest.mark.slow
def test_the_job_tells_what_happened_when_and_what_is_waited_for(printed: str) -> None:
    moments = ("imports are made, the job begins", "the first batch is read", "first scores")
    moments = (*moments, "last scores", "the rows are published", "the program is done")
    times_s = [float(_read_cells(printed, name)[0]) for name in moments]
    assert times_s == sorted(times_s)
    assert times_s[0] > 0
    waits = ("wait for predict", "wait for prepare", "wait for read", "make rows")
    shares = [
        int(_read_cells(printed, each)[0].rstrip("%")) for each in (*waits, "Beam and the rest")
    ]
    assert shares[0] > 0
    assert 97 <= sum(shares) <= 103


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return Gallery(tmp_path_factory.mktemp("gallery"), FEW, 4).find("photographs", FEW)


@pytest.fixture(scope="module")
def reference(photographs: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What transformers' pipeline says, as the peer."""
    output = tmp_path_factory.mktemp("reference") / "rows.parquet"
    arguments = [str(photographs), str(models.DEMO), str(output), "--batch_size", "4"]
    transformers_pipeline.main(arguments)
    return output


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return loop_inputs.make_inputs(models.DEMO, tmp_path_factory.mktemp("inputs") / "demo")


def _read_answers(output: pathlib.Path) -> dict[str, list[tuple[str, float]]]:
    return {row.name: row.predictions for row in read_rows(output)}


@pytest.mark.slow
@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("engine", ["eager", "packed", "openvino"])
def test_a_loop_written_by_hand_says_what_the_pipeline_says(
    engine: str,
    streams: int,
    photographs: pathlib.Path,
    reference: pathlib.Path,
    inputs: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    output = tmp_path / "rows.parquet"
    arguments = [str(inputs), str(photographs), str(output), f"--engine={engine}"]
    ceilings.main([*arguments, f"--streams={streams}"])
    agreement = compare(_read_answers(output), _read_answers(reference))
    assert (agreement.images, agreement.holds) == (FEW, True)


@pytest.mark.slow
def test_a_loop_that_scales_jpeg_says_something_else(
    photographs: pathlib.Path,
    reference: pathlib.Path,
    inputs: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    output = tmp_path / "rows.parquet"
    ceilings.main([str(inputs), str(photographs), str(output), "--scaled"])
    agreement = compare(_read_answers(output), _read_answers(reference))
    assert 1e-5 < agreement.largest_difference < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("form", manifests.FORMS)
def test_a_long_manifest_prints_its_memory_as_it_went(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are read by people; here it counts that all marks are reached."""
    assert manifests.main(["--lines=3000", f"--form={form}", "--limit=1000"]) == 0
    said = capsys.readouterr().out
    assert f"3,000 lines of {form}" in said
    assert "rows      1,000," in said
    repeated = 0 if form == "txt" else 99  # of lines 20, 30, …, 1,000 each image stands above
    assert f"predicted {1000 - repeated:,} images" in said
    marks = re.findall(r"at +(\d+)%  ([\d,]+) MB", said)
    assert [mark for mark, _ in marks] == ["1", "10", "25", "50", "75", "100"]
    peak = re.search(r"peak +([\d,]+) MB", said)
    assert peak is not None
    assert all(0 < int(each.replace(",", "")) <= int(peak[1].replace(",", "")) for _, each in marks)


@pytest.mark.slow
def test_the_benchmark_of_the_gpu_measures_a_cpu_just_as_well() -> None:
    flags = ["--device=cpu", "--model=vit-192", "--images=4", "--at_least_s=0", "--batch_size=3"]
    other = "bfloat16" if has_bfloat16() else "float32"  # it is refused where it is emulated
    done = run_gpu(*flags, "--dtype=float32", f"--dtype={other}")
    assert done.returncode == 0, done.stderr
    head, prepare, columns, *found, float32, second, timm, _ = done.stdout.splitlines()
    assert "vit-192, 4 images" in head
    assert re.match(r"best in float32: bare .+ \(batch 3\), ours .+%\), whole .+%\)", float32)
    assert second.startswith(f"best in {other}: bare ")
    assert timm.startswith("timm publishes 17,590 images/s for vit_tiny_patch16_224 on an RTX 4090")
    assert float(prepare.split()[-2].replace(",", "")) > 0
    assert [row.split()[:2] for row in found] == [["float32", "3"], [other, "3"]]
    for row in found:
        figures = [float(each.replace(",", "")) for each in row.split()[2:]]
        assert len(figures) == len(columns.split()) - 2
        assert all(map(math.isfinite, figures))
        assert min(figures[:-2]) > 0


def test_every_model_of_the_benchmark_has_a_published_rate_beside_it() -> None:
    for model in models.MADE:
        found = read_published(model)
        assert [each.gpu for each in found] == ["RTX 4090", "RTX 3090"]
        assert all(each.images_per_s > 1000 and len(each.commit) == 40 for each in found)
    assert read_published("demo") == []


@pytest.mark.slow
def test_the_benchmark_of_the_gpu_says_that_there_is_none() -> None:
    done = run_gpu(CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("bench.gpu: torch finds no CUDA device here\n")


def run_gpu(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.gpu", *flags]
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=settings)
