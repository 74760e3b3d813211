"""Reads the DAG of `deploy/` with Airflow's own parser; run by the Python of `.venv-airflow`.

Prints a JSON object: its errors, and of each task what the operator was given, filled in for a day.
"""

import json
import pathlib
import sys

from airflow.dag_processing.dagbag import DagBag

FOLDER = pathlib.Path(__file__).parents[1] / "deploy" / "airflow"


def main() -> None:
    bag = DagBag(dag_folder=str(FOLDER))
    tasks = [
        {
            "dag": dag.dag_id,
            "task": task.task_id,
            "operator": type(task).__name__,
            "retries": task.retries,
            "runs_at_once": dag.max_active_runs,
            "catchup": dag.catchup,
            "body": task.render_template(task.body, {"ds": sys.argv[1]}),
        }
        for dag in bag.dags.values()
        for task in dag.tasks
    ]
    sys.stdout.write(json.dumps({"errors": bag.import_errors, "tasks": tasks}) + "\n")


if __name__ == "__main__":
    main()
