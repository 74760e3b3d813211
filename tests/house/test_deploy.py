"""The examples of `deploy/`: every parameter exists, and Dataflow's types take every body."""

import ast
import json
import pathlib
import subprocess
from typing import Any

import pytest
from google.cloud import dataflow_v1beta3

from pipelines.flags import parse_flags
from pipelines.template_flags import list_parameters

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
DAG = ast.parse((DEPLOY / "airflow" / "nightly.py").read_text())


def read_json(path: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((DEPLOY / path).read_text())
    return value


def read_airflow() -> dict[str, Any]:
    """The DAG's body, as it is when Airflow has filled in the day."""
    (body,) = [
        ast.literal_eval(node.value)
        for node in DAG.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BODY"
    ]
    filled: dict[str, Any] = json.loads(json.dumps(body).replace("{{ ds }}", "2026-11-22"))
    return filled


def read_data_pipelines() -> dict[str, Any]:
    request: dict[str, Any] = read_json("data_pipelines/pipeline.json")["workload"][
        "dataflowFlexTemplateRequest"
    ]
    return request


BODIES = {
    "scheduler": read_json("scheduler/launch.json"),
    "data_pipelines": read_data_pipelines(),
    "airflow": read_airflow(),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_a_request_to_launch_a_template(name: str) -> None:
    request = dataflow_v1beta3.LaunchFlexTemplateRequest.from_json(
        json.dumps(BODIES[name]), ignore_unknown_fields=False
    )
    launch = request.launch_parameter
    assert launch.container_spec_gcs_path.startswith("gs://")
    assert launch.job_name == "imgcls-nightly"
    assert launch.environment.max_workers > 0


@pytest.mark.parametrize("name", BODIES)
def test_every_parameter_exists_and_the_program_takes_them(name: str) -> None:
    parameters = BODIES[name]["launchParameter"]["parameters"]
    assert parameters.keys() <= list_parameters()
    flags = [f"--{key}={value}" for key, value in parameters.items()]
    job, _ = parse_flags([*flags, "--runner=DataflowRunner"])
    assert job.model.device == "cuda"


@pytest.mark.parametrize("name", BODIES)
def test_a_launch_that_is_repeated_is_the_same_run(name: str) -> None:
    parameters = BODIES[name]["launchParameter"]["parameters"]
    flags = [f"--{key}={value}" for key, value in parameters.items()]
    first, second = (parse_flags([*flags, "--runner=DataflowRunner"])[0].output for _ in range(2))
    assert first.run_id == second.run_id == f"nightly-{first.run_date}"
    assert first.if_exists == "replace"
    assert first.attempt != second.attempt


def test_the_schedule_of_data_pipelines_is_that_of_cloud_scheduler() -> None:
    pipeline = read_json("data_pipelines/pipeline.json")
    schedule = pipeline["scheduleInfo"]
    script = (DEPLOY / "scheduler" / "create.sh").read_text()
    assert f"--schedule='{schedule['schedule']}'" in script
    assert f"--time-zone={schedule['timeZone']}" in script
    assert (pipeline["type"], pipeline["state"]) == ("PIPELINE_TYPE_BATCH", "STATE_ACTIVE")
    assert set(pipeline) == {"name", "displayName", "type", "state", "scheduleInfo", "workload"}


def test_the_dag_starts_the_template_with_its_body() -> None:
    calls = [
        node
        for node in ast.walk(DAG)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("TemplateOperator")
    ]
    (operator,) = calls
    given = {each.arg: ast.unparse(each.value) for each in operator.keywords}
    assert given["body"] == "BODY"
    assert given.keys() >= {"task_id", "project_id", "location"}


def test_the_script_of_cloud_scheduler_wants_a_project() -> None:
    script = DEPLOY / "scheduler" / "create.sh"
    ended = subprocess.run([script], capture_output=True, text=True)
    assert ended.returncode != 0
    assert "usage: deploy/scheduler/create.sh PROJECT" in ended.stderr
    assert (DEPLOY / "scheduler" / "launch.json").is_file()
