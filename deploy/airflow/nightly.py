"""An Airflow DAG that launches the template once a day and waits for its job.

Needs `apache-airflow-providers-google` and, because its operator imports it,
`apache-airflow-providers-apache-beam`.

The job of 03:00 classifies the images of the day before. The timetable has a data interval, so `ds`
is the day on which the interval begins; with a plain cron string Airflow 3 would make it the day
of the start, whose images are not there yet. The run id is made of that day, so a task that is
tried again, or a day that is run again, is the same run: rows are replaced, not doubled. It is not
made of the job's name, to which the operator adds a random suffix.
"""

import datetime

from airflow import DAG
from airflow.providers.google.cloud.operators.dataflow import DataflowStartFlexTemplateOperator
from airflow.timetables.interval import CronDataIntervalTimetable

BODY = {
    "launchParameter": {
        "jobName": "imgcls-nightly",
        "containerSpecGcsPath": "gs://my-bucket/templates/imgcls.json",
        "parameters": {
            "input": "gs://my-bucket/photos/{{ ds }}",
            "output": "gs://my-bucket/labels",
            "model": "google/vit-base-patch16-224",
            "dtype": "bfloat16",
            "gpu": "l4",
            "run_id": "nightly-{{ ds }}",
            "run_date": "{{ ds }}",
            "only": "new",
            "if_exists": "replace",
            "sdk_container_image": "us-central1-docker.pkg.dev/my-project/images/imgcls:1-cuda",
        },
        "environment": {
            "tempLocation": "gs://my-bucket/temp",
            "maxWorkers": 10,
            "serviceAccountEmail": "imgcls-worker@my-project.iam.gserviceaccount.com",
        },
    }
}

with DAG(
    dag_id="imgcls_nightly",
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": datetime.timedelta(minutes=10)},
):
    DataflowStartFlexTemplateOperator(
        task_id="classify",
        project_id="my-project",
        location="us-central1",
        body=BODY,
        wait_until_finished=True,
    )
