"""One table, whatever runs the job: nine set-ups of one machine, the same 500 images."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench.peers.engines import serve_workers
from pipelines.__main__ import main
from tests.built_servers import FOLDER
from tests.job_services import serve_jobs
from tests.runners import IN_MEMORY, REPEATED, TWO_PROCESSES, TWO_THREADS
from tests.scenes import BROKEN, draw_photo, encode

pytestmark = pytest.mark.slow

IMAGES = 500
ROOT = pathlib.Path(__file__).parents[2]
PRISM = shutil.which("prism", path=f"{FOLDER / 'bin'}:{os.environ.get('PATH', '')}")
LOOPBACK, EMBEDDED = "LOOPBACK", "beam:env:embedded_python:v1"

LOCAL = {
    "in memory": IN_MEMORY,
    "bundles twice": REPEATED,
    "two threads": TWO_THREADS,
    "two processes": TWO_PROCESSES,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Small pictures, three that are none among them."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(IMAGES - len(BROKEN)):
        (folder / f"{index:04d}.png").write_bytes(encode(draw_photo(index, (16, 16)), "PNG"))
    for name, data in BROKEN.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def job_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Beam's portable job service, in a process of its own."""
    with serve_jobs(tmp_path_factory.mktemp("service")) as service:
        yield service.endpoint


@pytest.fixture(scope="module")
def expected(
    photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    return classify(photos, vit_folder, tmp_path_factory.mktemp("expected"), IN_MEMORY)


def classify(
    photos: pathlib.Path, model: pathlib.Path, output: pathlib.Path, runner: list[str]
) -> list[dict[str, Any]]:
    """The table, in the order of its URIs."""
    assert main(make_command(photos, model, output, runner)) == 0
    return read_table(output)


def make_command(
    photos: pathlib.Path, model: pathlib.Path, output: pathlib.Path, runner: list[str]
) -> list[str]:
    places = [f"--input={photos}", f"--output={output}", f"--model={model}"]
    return ["classify", *places, "--run_id=r1", *runner]


def read_table(output: pathlib.Path) -> list[dict[str, Any]]:
    record = json.loads((output / "runs" / "r1.json").read_text())
    assert record["state"] == "DONE"
    rows = [
        row for file in record["files"] for row in pq.read_table(output / file["path"]).to_pylist()
    ]
    assert len(rows) == record["counts"]["listed"] == IMAGES
    return sorted(rows, key=lambda row: str(row["image_uri"]))


def check_equal(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    columns = ("image_uri", "image_version", "image_sha256", "status", "error", "params")
    for row, other in zip(found, expected, strict=True):
        assert {name: row[name] for name in columns} == {name: other[name] for name in columns}
        labels = [[each["label"] for each in each_row["predictions"]] for each_row in (row, other)]
        assert labels[0] == labels[1]
        scores = [[each["score"] for each in each_row["predictions"]] for each_row in (row, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize("name", LOCAL)
def test_a_local_runner_gives_the_table(
    name: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    expected: list[dict[str, Any]],
    tmp_path: pathlib.Path,
) -> None:
    check_equal(classify(photos, vit_folder, tmp_path, LOCAL[name]), expected)


@pytest.mark.skipif(PRISM is None, reason="no Prism: `make servers` builds it")
def test_prism_gives_the_table(
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    expected: list[dict[str, Any]],
    tmp_path: pathlib.Path,
) -> None:
    """In a process of its own: in one process Beam keeps the first Prism that it was told of."""
    runner = ["--runner=PrismRunner", f"--prism_location={PRISM}"]
    command = make_command(photos, vit_folder, tmp_path, runner)
    subprocess.run([sys.executable, "-m", "pipelines", *command], cwd=ROOT, check=True)
    check_equal(read_table(tmp_path), expected)


@pytest.mark.parametrize("environment", [LOOPBACK, EMBEDDED])
def test_the_portable_runner_gives_the_table(
    environment: str,
    job_service: str,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    expected: list[dict[str, Any]],
    tmp_path: pathlib.Path,
) -> None:
    runner = ["--runner=PortableRunner", f"--job_endpoint={job_service}"]
    found = classify(photos, vit_folder, tmp_path, [*runner, f"--environment_type={environment}"])
    check_equal(found, expected)


def test_two_worker_processes_that_are_started_apart_give_the_table(
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    expected: list[dict[str, Any]],
    tmp_path: pathlib.Path,
) -> None:
    with serve_workers(tmp_path, 2, {}) as runner:
        found = classify(photos, vit_folder, tmp_path / "out", runner)
    check_equal(found, expected)
    assert (tmp_path / "pool.log").read_text().count("Starting worker with command") == 2
