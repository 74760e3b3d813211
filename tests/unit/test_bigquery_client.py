"""A BigQuery that takes a request and never answers: everything that asks it comes to an end."""

import dataclasses
import datetime
import http.server
import io
import json
import pathlib
import threading
from collections.abc import Callable, Iterator

import pytest
from google.api_core.exceptions import GoogleAPIError
from google.cloud.bigquery import Client, LoadJobConfig
from requests.exceptions import RequestException

from imgcls_beam import bigquery_client
from imgcls_beam.bigquery import EMULATOR, TableName, connect, run_query
from imgcls_beam.errors import ConfigError, PublishError
from imgcls_beam.warehouse.bigquery_jobs import run_job
from imgcls_beam.warehouse.table_loading import load_run
from tests.staged import begin, commit, stage_merged

pytestmark = pytest.mark.timeout(120)

NAME = TableName("my-project", "images", "predictions")
_DATASET = {
    "datasetReference": {"projectId": NAME.project, "datasetId": NAME.dataset},
    "location": "EU",
}


class _Silent(http.server.BaseHTTPRequestHandler):
    """Answers what is asked of the dataset, and what begins a job; else it says nothing."""

    asked: list[str]
    over: threading.Event
    answers: dict[str, dict[str, object]]

    def _answer(self) -> None:
        path = f"{self.command} {self.path.partition('?')[0]}"
        self.asked.append(path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = next((each for end, each in self.answers.items() if path.endswith(end)), None)
        if given is None:
            self.over.wait()
            return
        body = json.dumps(given).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Silent]]:
    """The service; limits that are short."""
    handler = type(
        "Handler",
        (_Silent,),
        {"asked": [], "over": threading.Event(), "answers": {"/datasets/images": _DATASET}},
    )
    monkeypatch.setattr(bigquery_client, "REQUEST_S", 0.2)
    monkeypatch.setattr(bigquery_client, "RETRY_S", 0.5)
    monkeypatch.setattr(bigquery_client, "UPLOAD_RETRIES", 1)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv(EMULATOR, f"http://127.0.0.1:{serving.server_port}")
        yield handler
        handler.over.set()
        serving.shutdown()


def _query(client: Client) -> None:
    list(run_query(client, "SELECT 1", {}))


def _load(client: Client) -> None:
    def begin_load(job_id: str) -> object:
        return client.load_table_from_uri(["gs://b/f"], str(NAME), job_id=job_id)

    run_job(client, "load", begin_load)  # type: ignore[arg-type]


def _upload(client: Client) -> None:
    config = LoadJobConfig(source_format="PARQUET")
    client.load_table_from_file(io.BytesIO(b"PAR1"), str(NAME), job_config=config)


def _list_rows(client: Client) -> None:
    list(client.list_rows(client.get_table(str(NAME))))


@pytest.mark.parametrize("ask", [_query, _load, _upload, _list_rows])
def test_whatever_is_asked_is_given_up(
    silent: type[_Silent], ask: Callable[[Client], None]
) -> None:
    client = connect("output_table", NAME)
    silent.asked.clear()
    with pytest.raises((GoogleAPIError, RequestException)):
        ask(client)
    assert len(set(silent.asked)) == 1


def test_a_job_that_was_begun_and_of_which_nothing_is_heard_is_given_up(
    silent: type[_Silent],
) -> None:
    job = {
        "jobReference": {"projectId": NAME.project, "jobId": "x", "location": "EU"},
        "configuration": {"query": {"query": "SELECT 1"}},
        "status": {"state": "RUNNING"},
    }
    client = connect("output_table", NAME)
    silent.answers["/jobs"] = job
    with pytest.raises((GoogleAPIError, RequestException)):
        _query(client)
    assert [each for each in silent.asked if each.startswith("GET") and each.endswith("/x")]


def test_a_service_that_says_nothing_at_all_is_named_in_a_sentence(silent: type[_Silent]) -> None:
    silent.answers.clear()
    with pytest.raises(ConfigError, match="BigQuery does not answer"):
        connect("output_table", NAME)


def test_a_run_that_cannot_be_loaded_says_so(silent: type[_Silent], tmp_path: pathlib.Path) -> None:
    session = begin(str(tmp_path))
    record = commit(*stage_merged(session, [3]), 3, session)
    record = dataclasses.replace(record, run_date=datetime.date(2026, 11, 23))
    with pytest.raises(PublishError, match=r"was not loaded into .*: BigQuery does not answer"):
        load_run(NAME, str(tmp_path), record)
    assert silent.asked
