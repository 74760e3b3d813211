"""Dataflow's REST API and Google's token service on loopback, as far as a submission needs them.

Paths and fields are those of cloud.google.com/dataflow/docs/reference/rest (v1b3). Jobs stay in the
state RUNNING for ever: a program that waits for one never ends.
"""

import contextlib
import dataclasses
import http.server
import json
import pathlib
import re
import threading
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

JOB_ID = "2026-11-23_00_00_00-1234567890123456789"
PROJECT = "imgcls-test"
REGION = "us-central1"

_JOBS = rf"/v1b3/projects/{PROJECT}/locations/{REGION}/jobs"


@dataclasses.dataclass(slots=True)
class Dataflow:
    """What the service was asked.

    Attributes:
        port: on localhost.
        jobs: bodies of the requests that create a job.
        asked: method and path of every request.
        private_key: of the service account, PEM.
        access_token: what the token service gives.
    """

    port: int = 0
    jobs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    asked: list[str] = dataclasses.field(default_factory=list)
    private_key: str = ""
    access_token: str = "ya29.canary-access-token"

    @property
    def endpoint(self) -> str:
        """For `--dataflow_endpoint`; Beam takes REST where it reads `localhost`."""
        return f"http://localhost:{self.port}"

    def write_credentials(self, path: pathlib.Path) -> None:
        """Writes the key file of a service account, for GOOGLE_APPLICATION_CREDENTIALS."""
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "canary-key-id",
            "private_key": self.private_key,
            "client_email": f"launcher@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.endpoint}/token",
        }
        path.write_text(json.dumps(account))


@contextlib.contextmanager
def serve_dataflow() -> Iterator[Dataflow]:
    """Serves in a thread of this process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    dataflow = Dataflow(private_key=pem.decode())
    handler = type("Handler", (_Handler,), {"dataflow": dataflow})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        dataflow.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield dataflow
        server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    dataflow: Dataflow
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self._note()
        if path == "/token":
            token = {"access_token": self.dataflow.access_token, "token_type": "Bearer"}
            self._answer({**token, "expires_in": 3600})
        elif re.fullmatch(_JOBS, path):
            job = json.loads(body)
            self.dataflow.jobs.append(job)
            self._answer(self._describe(job))
        else:
            self._answer({"error": {"code": 404, "message": path}}, 404)

    def do_GET(self) -> None:
        path = self._note()
        if re.fullmatch(rf"{_JOBS}/{JOB_ID}", path) and self.dataflow.jobs:
            self._answer(self._describe(self.dataflow.jobs[-1]))
        elif re.fullmatch(rf"{_JOBS}/{JOB_ID}/messages", path):
            self._answer({})
        else:
            self._answer({"error": {"code": 404, "message": path}}, 404)

    def _describe(self, job: dict[str, Any]) -> dict[str, Any]:
        described = {name: job[name] for name in ("name", "type", "clientRequestId") if name in job}
        state = {"id": JOB_ID, "projectId": PROJECT, "location": REGION}
        return {**described, **state, "currentState": "JOB_STATE_RUNNING"}

    def _note(self) -> str:
        path = self.path.partition("?")[0]
        self.dataflow.asked.append(f"{self.command} {path}")
        return path

    def _answer(self, value: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
