"""The examples of `deploy/`: every parameter exists, and Dataflow's types take every body."""

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest
from google.cloud import dataflow_v1beta3

from pipelines.flags import parse_flags
from pipelines.template_flags import list_parameters

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
AIRFLOW = ROOT / ".venv-airflow" / "bin" / "python"
DAY, STARTED = "2026-11-22", "2026-11-23"
"""Whose images are classified, and on which the job starts."""


def read_json(path: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((DEPLOY / path).read_text())
    return value


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow makes of the DAG on the day on which it starts a run."""
    home = str(tmp_path_factory.mktemp("airflow"))
    program = [str(AIRFLOW), str(ROOT / "tests" / "airflow_dag.py"), STARTED]
    settings = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    ended = subprocess.run(program, capture_output=True, text=True, env=settings, check=False)
    assert ended.returncode == 0, ended.stderr
    read: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return read


def read_data_pipelines() -> dict[str, Any]:
    request: dict[str, Any] = read_json("data_pipelines/pipeline.json")["workload"][
        "dataflowFlexTemplateRequest"
    ]
    return request


NAMES = ("scheduler", "data_pipelines", "airflow")


@pytest.fixture
def body(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """The request of one way to launch the template."""
    if name == "scheduler":
        return read_json("scheduler/launch.json")
    if name == "data_pipelines":
        return read_data_pipelines()
    (task,) = request.getfixturevalue("dag")["tasks"]
    filled: dict[str, Any] = task["body"]
    return filled


@pytest.mark.parametrize("name", NAMES)
def test_a_body_is_a_request_to_launch_a_template(body: dict[str, Any]) -> None:
    request = dataflow_v1beta3.LaunchFlexTemplateRequest.from_json(
        json.dumps(body), ignore_unknown_fields=False
    )
    launch = request.launch_parameter
    assert launch.container_spec_gcs_path.startswith("gs://")
    assert launch.job_name == "imgcls-nightly"
    assert launch.environment.max_workers > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_exists_and_the_program_takes_them(body: dict[str, Any]) -> None:
    parameters = body["launchParameter"]["parameters"]
    assert parameters.keys() <= list_parameters()
    flags = [f"--{key}={value}" for key, value in parameters.items()]
    job, _ = parse_flags([*flags, "--runner=DataflowRunner"])
    assert job.model.device == "cuda"


@pytest.mark.parametrize("name", NAMES)
def test_a_launch_that_is_repeated_is_the_same_run(body: dict[str, Any]) -> None:
    parameters = body["launchParameter"]["parameters"]
    flags = [f"--{key}={value}" for key, value in parameters.items()]
    first, second = (parse_flags([*flags, "--runner=DataflowRunner"])[0].output for _ in range(2))
    assert first.run_id == second.run_id == f"nightly-{first.run_date}"
    assert first.if_exists == "replace"
    assert first.session_id != second.session_id


def test_the_schedule_of_data_pipelines_is_that_of_cloud_scheduler() -> None:
    pipeline = read_json("data_pipelines/pipeline.json")
    schedule = pipeline["scheduleInfo"]
    script = (DEPLOY / "scheduler" / "create.sh").read_text()
    assert f"--schedule='{schedule['schedule']}'" in script
    assert f"--time-zone={schedule['timeZone']}" in script
    assert (pipeline["type"], pipeline["state"]) == ("PIPELINE_TYPE_BATCH", "STATE_ACTIVE")
    assert set(pipeline) == {"name", "displayName", "type", "state", "scheduleInfo", "workload"}


def test_airflow_takes_the_dag_and_fills_in_the_day_before(dag: dict[str, Any]) -> None:
    assert dag["errors"] == {}
    (task,) = dag["tasks"]
    assert (task["dag"], task["task"]) == ("imgcls_nightly", "classify")
    assert task["operator"] == "DataflowStartFlexTemplateOperator"
    assert (task["retries"], task["runs_at_once"], task["catchup"]) == (2, 1, False)
    parameters = task["body"]["launchParameter"]["parameters"]
    assert (parameters["run_id"], parameters["run_date"]) == (f"nightly-{DAY}", DAY)
    assert parameters["input"].endswith(f"/photos/{DAY}")
    assert "{{" not in json.dumps(task["body"])


def test_the_packages_that_the_dag_says_it_needs_are_those_it_was_read_with() -> None:
    said = (DEPLOY / "airflow" / "nightly.py").read_text()
    pinned = (ROOT / "tests" / "airflow.txt").read_text()
    for package in ("apache-airflow-providers-google", "apache-airflow-providers-apache-beam"):
        assert f"`{package}`" in said
        assert f"\n{package}==" in pinned


def test_the_script_of_cloud_scheduler_wants_a_project() -> None:
    script = DEPLOY / "scheduler" / "create.sh"
    ended = subprocess.run([script], capture_output=True, text=True)
    assert ended.returncode != 0
    assert "usage: deploy/scheduler/create.sh PROJECT" in ended.stderr
    assert (DEPLOY / "scheduler" / "launch.json").is_file()
