"""Reads the DAG of `deploy/` with Airflow's own parser; run by the Python of `.venv-airflow`.

Prints a JSON object: its errors, and of each task what the operator was given. It is filled in for
the run that the DAG's own schedule starts on the day that is given.
"""

import datetime
import json
import pathlib
import sys

import pendulum
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction

FOLDER = pathlib.Path(__file__).parents[1] / "deploy" / "airflow"


def find_ds(dag: DAG, day: datetime.date) -> str:
    """`ds` of the run that the scheduler starts on that day: its logical date.

    Raises:
        ValueError: it starts none on that day.
    """
    timetable = coerce_to_core_timetable(dag.timetable)
    earliest = pendulum.datetime(day.year, day.month, day.day, tz="UTC").subtract(days=2)
    every, interval = TimeRestriction(earliest, None, catchup=True), None
    while info := timetable.next_dagrun_info(
        last_automated_data_interval=interval, restriction=every
    ):
        if info.run_after.date() == day:
            return str(info.logical_date.strftime("%Y-%m-%d"))
        if info.run_after.date() > day:
            break
        interval = info.data_interval
    raise ValueError(f"no run starts on {day}")


def main() -> None:
    day = datetime.date.fromisoformat(sys.argv[1])
    bag = DagBag(dag_folder=str(FOLDER))
    tasks = [
        {
            "dag": dag.dag_id,
            "task": task.task_id,
            "operator": type(task).__name__,
            "retries": task.retries,
            "runs_at_once": dag.max_active_runs,
            "catchup": dag.catchup,
            "body": task.render_template(task.body, {"ds": find_ds(dag, day)}),
        }
        for dag in bag.dags.values()
        for task in dag.tasks
    ]
    sys.stdout.write(json.dumps({"errors": bag.import_errors, "tasks": tasks}) + "\n")


if __name__ == "__main__":
    main()
