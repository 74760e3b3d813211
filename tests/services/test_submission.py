"""The real program against Dataflow's API on loopback; then the graph that it staged is run here.

What is proven: what is asked of the service, that nothing secret is in it, and that the graph gives
the rows of a local run. What is not: that the service carries it out.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import torch
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.resources import AcceleratorHint

from imgcls_beam.accelerators import DISK_GB, HARNESS_THREADS
from imgcls_beam.errors import ModelError
from imgcls_beam.stores import open_store
from pipelines.__main__ import main
from tests.dataflow_service import JOB_ID, PROJECT, REGION, Dataflow, serve_dataflow
from tests.scenes import BROKEN, draw_photo, encode
from tests.servers import Server

ROOT = pathlib.Path(__file__).parents[2]
CANARY = "hf_canary_of_the_hub"
IMAGE = "us-docker.pkg.dev/imgcls-test/images/imgcls:1"
ACCELERATOR = "worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"

WITHOUT_TORCH = """
import sys

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "transformers", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacking())
"""


class Submission(NamedTuple):
    """What came of one call of the program."""

    ended: subprocess.CompletedProcess[str]
    dataflow: Dataflow
    server: Server
    model: str
    folder: str

    @property
    def job(self) -> dict[str, Any]:
        (job,) = self.dataflow.jobs
        return job

    def read_staged(self) -> bytes:
        """The graph, from where the job says that it lies."""
        url = self.job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
        data: bytes = self.server.store.cat_file(url)
        return data


@pytest.fixture(scope="module")
def on_l4(
    gcs_server: Server, vit_folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Submission]:
    """A launcher without torch and transformers submits a job for workers with a GPU."""
    with submit("l4", gcs_server, vit_folder, tmp_path_factory) as submission:
        yield submission


@pytest.fixture(scope="module")
def on_cpu(
    gcs_server: Server, vit_folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Submission]:
    """The same for workers without one."""
    with submit("none", gcs_server, vit_folder, tmp_path_factory) as submission:
        yield submission


@pytest.fixture(scope="module")
def on_some(
    gcs_server: Server, vit_folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Submission]:
    """The same for workers of which only those that classify have a GPU."""
    with submit(
        "t4", gcs_server, vit_folder, tmp_path_factory, "--gpu_stages=classify"
    ) as submission:
        yield submission


@contextlib.contextmanager
def submit(
    gpu: str, server: Server, model: pathlib.Path, factory: pytest.TempPathFactory, *more: str
) -> Iterator[Submission]:
    home, folder = factory.mktemp("launcher"), f"{server.root}/submitted-{gpu}"
    (home / "sitecustomize.py").write_text(WITHOUT_TORCH)
    photos = {f"{i}.jpg": encode(draw_photo(i)) for i in range(12)}
    objects = {**photos, **BROKEN}
    server.fill({f"submitted-{gpu}/photos/{name}": data for name, data in objects.items()})
    files = {each.name: each.read_bytes() for each in model.iterdir()}
    server.fill({f"models/vit/{name}": data for name, data in files.items()})
    place = f"{server.root}/models/vit"
    with serve_dataflow() as dataflow:
        dataflow.write_credentials(home / "key.json")
        settings = {
            **os.environ,
            "PYTHONPATH": str(home),
            "GOOGLE_APPLICATION_CREDENTIALS": str(home / "key.json"),
            "GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED": "false",
            "HF_TOKEN": CANARY,
        }
        service = [
            *("--runner=DataflowRunner", f"--project={PROJECT}", f"--region={REGION}"),
            *(f"--temp_location={folder}/temp", f"--dataflow_endpoint={dataflow.endpoint}"),
            *("--job_name=nightly", f"--sdk_container_image={IMAGE}", f"--gpu={gpu}"),
            *("--max_num_workers=7", "--service_account_email=worker@example.com", *more),
        ]
        ended = subprocess.run(
            [sys.executable, "-m", "pipelines", "classify", *make_flags(folder, place), *service],
            cwd=ROOT,
            env=settings,
            capture_output=True,
            text=True,
            timeout=300,
        )
        yield Submission(ended, dataflow, server, place, folder)


def make_flags(folder: str, model: str) -> list[str]:
    return [
        f"--input={folder}/photos",
        f"--output={folder}/out",
        *("--run_id=r1", "--top_k=3", f"--model={model}"),
    ]


def test_the_program_says_where_its_job_is_and_does_not_wait_for_it(on_l4: Submission) -> None:
    assert on_l4.ended.returncode == 0, on_l4.ended.stderr
    console = f"https://console.cloud.google.com/dataflow/jobs/{REGION}/{JOB_ID}?project={PROJECT}"
    assert on_l4.ended.stdout == f"submitted: {JOB_ID}\n{console}\n"
    asked = on_l4.dataflow.asked
    assert [each for each in asked if "token" not in each] == [
        f"POST /v1b3/projects/{PROJECT}/locations/{REGION}/jobs"
    ]


def test_the_job_asks_for_the_image_the_machine_and_the_accelerator(on_l4: Submission) -> None:
    environment = on_l4.job["environment"]
    (pool,) = environment["workerPools"]
    assert on_l4.job["name"] == "nightly"
    assert (pool["machineType"], pool["diskSizeGb"]) == ("g2-standard-8", DISK_GB)
    (container,) = pool["sdkHarnessContainerImages"]
    assert container["containerImage"] == IMAGE
    assert "no_use_multiple_sdk_containers" in environment["experiments"]
    assert "use_multiple_sdk_containers" not in environment["experiments"]
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 7
    assert environment["serviceAccountEmail"] == "worker@example.com"
    options = environment["sdkPipelineOptions"]["options"]
    assert options["dataflow_service_options"] == [ACCELERATOR]
    assert options["number_of_worker_harness_threads"] == HARNESS_THREADS


def test_without_a_gpu_the_service_chooses_the_machine(on_cpu: Submission) -> None:
    (pool,) = on_cpu.job["environment"]["workerPools"]
    assert "machineType" not in pool
    assert ACCELERATOR not in json.dumps(on_cpu.job)


def test_by_right_fitting_a_hint_of_the_graph_asks_for_the_accelerator(
    on_some: Submission,
) -> None:
    assert on_some.ended.returncode == 0, on_some.ended.stderr
    (pool,) = on_some.job["environment"]["workerPools"]
    assert "machineType" not in pool
    assert "worker_accelerator" not in json.dumps(on_some.job)
    graph = beam_runner_api_pb2.Pipeline.FromString(on_some.read_staged()).components
    hints = {
        environment.resource_hints.get(AcceleratorHint.urn, b"").decode()
        for environment in graph.environments.values()
    }
    wanted = "type:nvidia-tesla-t4;count:1;machine_type:n1-standard-8;install-nvidia-driver"
    assert hints >= {"", wanted}
    hinted = {
        each.unique_name.partition("/")[0]
        for each in graph.transforms.values()
        if graph.environments[each.environment_id].resource_hints.get(AcceleratorHint.urn)
    }
    assert hinted == {"ClassifyImages", "WriteParquet"}


def test_nothing_secret_is_in_the_job_the_graph_or_the_logs(on_l4: Submission) -> None:
    written = on_l4.server.store.find(on_l4.folder)
    staged = {name: on_l4.server.store.cat_file(name) for name in written}
    places = {
        "job": json.dumps(on_l4.job).encode(),
        "stdout": on_l4.ended.stdout.encode(),
        "stderr": on_l4.ended.stderr.encode(),
        **staged,
    }
    seen = [place for place, data in places.items() if IMAGE.encode() in data]
    assert "job" in seen
    assert any(place.endswith("/pipeline.pb") for place in seen)
    key = on_l4.dataflow.private_key.splitlines()[1]
    for secret in (CANARY, key, "PRIVATE KEY", on_l4.dataflow.access_token):
        found = [place for place, data in places.items() if secret.encode() in data]
        assert found == [], secret


def test_one_stage_reads_prepares_predicts_and_stages_rows(on_l4: Submission) -> None:
    """Nothing between reading and the fragments groups or reshuffles, so Dataflow fuses it."""
    graph = beam_runner_api_pb2.Pipeline.FromString(on_l4.read_staged())
    names = [each.unique_name for each in graph.components.transforms.values()]
    for stage in ("ReadImages", "PrepareImages", "PredictImages", "WriteParquet"):
        assert any(stage in name for name in names), stage
    within = [
        each.unique_name
        for each in graph.components.transforms.values()
        if each.spec.urn in ("beam:transform:group_by_key:v1", "beam:transform:reshuffle:v1")
        and each.unique_name.startswith("ClassifyImages")
    ]
    assert within == []


def test_the_staged_graph_gives_the_rows_of_a_local_run(
    on_cpu: Submission, tmp_path: pathlib.Path
) -> None:
    assert run_staged(on_cpu) == "DONE"
    flags = make_flags(on_cpu.folder, on_cpu.model)
    local = [flag.replace(f"{on_cpu.folder}/out", str(tmp_path)) for flag in flags]
    assert main(["classify", *local, "--max_error_ratio=1"]) == 0
    there, here = read_rows(f"{on_cpu.folder}/out"), read_rows(str(tmp_path))
    assert len(there) == 12 + len(BROKEN)
    assert there.keys() == here.keys()
    for uri, row in there.items():
        assert (row["status"], row["error"]) == (here[uri]["status"], here[uri]["error"])
        assert labels_of(row) == labels_of(here[uri])
        assert scores_of(row) == pytest.approx(scores_of(here[uri]), abs=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU")
def test_a_worker_that_lacks_its_gpu_fails_and_publishes_nothing(on_l4: Submission) -> None:
    with pytest.raises(ModelError, match="torch finds no CUDA device here"):
        run_staged(on_l4)
    assert on_l4.server.store.find(f"{on_l4.folder}/out/runs") == []


def run_staged(submission: Submission) -> str:
    """Runs the graph in this process, in the place of Dataflow's workers; returns the state."""
    graph = beam_runner_api_pb2.Pipeline.FromString(submission.read_staged())
    (environment,) = graph.components.environments.values()
    assert environment.urn == "beam:env:docker:v1"
    environment.urn, environment.payload = "beam:env:embedded_python:v1", b""
    state: str = FnApiRunner().run_via_runner_api(graph, PipelineOptions([])).wait_until_finish()
    return state


def read_rows(output: str) -> dict[str, dict[str, Any]]:
    """The rows that the record names, by URI."""
    store, path = open_store("output", output)
    record = json.loads(store.cat_file(f"{path}/runs/r1.json"))
    assert record["state"] == "DONE"
    rows: dict[str, dict[str, Any]] = {}
    for file in record["files"]:
        with store.open(f"{path}/{file['path']}", "rb") as source:
            rows.update((row["image_uri"], row) for row in pq.read_table(source).to_pylist())
    assert len(rows) == record["counts"]["listed"]
    return rows


def labels_of(row: dict[str, Any]) -> list[str]:
    return [each["label"] for each in row["predictions"]]


def scores_of(row: dict[str, Any]) -> list[float]:
    return [each["score"] for each in row["predictions"]]
