"""A secret of each kind goes through a run, and is found in nothing that the run wrote or said."""

import http.server
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from imgcls_beam.stores.http_client import PublicHttp
from tests.programs import ROOT
from tests.scenes import draw_photo, encode

_CANARY = "cAnArY7f3a9c"
_IMAGE = encode(draw_photo(1, (40, 30)), "PNG")
_QUERIES = (
    *("X-Amz-Signature", "X-Goog-Signature", "Signature", "sig", "token", "AWSAccessKeyId"),
    *("X-Amz-Security-Token", "access_token", "api_key", "Key-Pair-Id", "password"),
)


class SignedImages(http.server.BaseHTTPRequestHandler):
    """An image for whoever has the canary; a path with `gone` fails for ever."""

    def do_GET(self) -> None:
        is_gone = "gone" in self.path
        self.send_response(503 if is_gone else 200 if _CANARY in self.path else 403)
        body = b"" if is_gone or _CANARY not in self.path else _IMAGE
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SignedImages)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    monkeypatch.setenv("IMGCLS_PRIVATE_HOSTS", "127.0.0.1")
    PublicHttp.clear_instance_cache()
    yield f"127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.impatient", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _write_manifest(path: pathlib.Path, host: str) -> int:
    """Lines that can be read, lines that fail, and lines with a password; how many can be read."""
    good = [f"http://{host}/{i}.png?w={i}&{name}={_CANARY}" for i, name in enumerate(_QUERIES)]
    lines = [
        *good,
        f"http://{host}/gone.png?sig={_CANARY}",
        f"http://user:{_CANARY}@{host}/a.png",
        f"http://{_CANARY}@{host}/a.png",
        f"ftp://user:{_CANARY}@{host}/a.png",
        f"https://10.0.0.1/a.png?sig={_CANARY}",
        f"odd://user:{_CANARY}@host/a.png",
    ]
    path.write_text("photo\n" + "\n".join(lines) + "\n")
    return len(good)


@pytest.mark.slow
def test_no_secret_of_a_url_is_in_what_a_run_writes_or_says(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, output = tmp_path / "cache", tmp_path / "out"
    monkeypatch.setenv("IMGCLS_CACHE", str(cache))
    readable = _write_manifest(tmp_path / "m.csv", host)
    flags = [
        *("classify", f"--input_manifest={tmp_path / 'm.csv'}", "--uri_column=photo"),
        *("--carry_columns=photo", "--allow_scheme=http", f"--output={output}", "--report"),
        *(f"--output_jsonl={tmp_path / 'out.jsonl'}", f"--model={vit_folder}", "--run_id=r1"),
        "--max_error_ratio=1",
    ]
    said = _run(*flags)
    again = _run(
        *("retry", f"--output={output}", "--run_id=r1", "--allow_scheme=http", "--verbose"),
        "--max_error_ratio=1",
    )
    assert (said.returncode, again.returncode) == (0, 0), (said.stderr, again.stderr)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "m.csv"]
    assert {path.suffix for path in written} >= {".parquet", ".json", ".jsonl", ".html"}
    rows = pq.read_table(output / "predictions").to_pylist()
    assert [row["status"] for row in rows].count("ok") == readable
    for path in written:
        assert _CANARY.encode() not in path.read_bytes(), path
    everything = repr(rows) + said.stdout + said.stderr + again.stdout + again.stderr
    assert _CANARY not in everything
