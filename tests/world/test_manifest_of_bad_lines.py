"""A manifest of 1,000 lines, one of each malformed kind: 1,000 references, no traceback.

The good lines and the manifest lie on a disk, in S3 and in GCS.
"""

import io
import json
import pathlib
import subprocess
import sys
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from imgcls_beam.stores import open_store
from tests.servers import Server

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_MODEL = _ROOT / "demo" / "model"
_LINES = 1000

ANYWHERE = [
    # no text, or none that a URI can be
    *("", " ", "\t", "\u00a0", "\u3000", "\u2028", "a\0b.jpg", "a\x01.jpg", "a\x7f.jpg"),
    *("\x1b[31mred.jpg", "a\nb.jpg", "a\rb.jpg", "\x85.jpg", "x" * 9000, "s3://b/" + "y" * 8192),
    # S3
    *("s3://my photos/x.jpg", "s3://photos/", "s3://pictures", "s3://", "s3:///x.jpg"),
    *("s3://a/x.jpg", "s3://-x-/a.jpg", "s3://b\u00fccher/x.jpg", "s3://[/x.jpg"),
    *("s3://no-such-bucket/x.jpg", "s3://photos/" + "k" * 1025, "s3a://album/", "S3://nights/"),
    "s3://arn:aws:s3:us-east-1:1:accesspoint/x",
    # GCS
    *("gs://my photos/x.jpg", "gs://photos/", "gs://photos", "gs://", "gs:///x.jpg", "gcs://b"),
    *("gs://a/x.jpg", "gs://no-such-bucket/x.jpg", "gs://photos/" + "\u00fc" * 513),
    # the web
    *("https://", "http://", "https:///x.jpg", "http://cdn.example.com:port/x.jpg"),
    *("http://[::1/x.jpg", "http://127.0.0.1:1/x.jpg", "http://127.0.0.1:99999/x.jpg"),
    *("http://no-such-host.invalid/x.jpg", "http://user:secret@127.0.0.1:1/x.jpg", "https://?"),
    *("http://%zz/x.jpg", "http://a..b/x.jpg", "http://" + "a" * 300 + ".invalid/x.jpg"),
    # the hub
    *("hf://x.jpg", "hf://", "hf://datasets", "hf://datasets/one", "hf://models/a"),
    *("hf://datasets/ /x/y.jpg", "hf://spaces/a"),
    # schemes that nothing reads, or that are not allowed
    *("nowhere://x/y.jpg", "javascript:alert(1)", "data:image/png;base64,AAAA", "ftp://h/x.jpg"),
    *("az://c/x.jpg", "abfss://c@h/x.jpg", "simplecache::http://h/x.jpg", "://x.jpg", "1://x.jpg"),
    *("zip://x.jpg::file:///tmp/a.zip", "memory://gone.jpg", "memory://", "github://a:b@/x"),
    # disks
    *("gone.jpg", "../../../../../../gone.jpg", "/gone/../x.jpg", "/dev/zero", "/etc", "/", "."),
    *("file:///gone/too.jpg", "file://", "file:///" + "z" * 300, "/proc/self/mem", "~/gone.jpg"),
    *("C:\\photos\\x.jpg", "%00.jpg", "*.jpg", "[a].jpg", "a.jpg/b.jpg", "?.jpg", "..", "a::b"),
]


def test_there_are_sixty_kinds_and_more() -> None:
    assert len(ANYWHERE) == len(set(ANYWHERE)) > 60


STORES = [pytest.param(each, marks=pytest.mark.long(minutes=1)) for each in ("s3", "gcs")]


@pytest.fixture(params=["disk", *STORES])
def folder(request: pytest.FixtureRequest, s3: Server, gcs: Server, tmp_path: pathlib.Path) -> str:
    """Where the good images and the manifest lie; both stores can be reached."""
    roots = {"disk": str(tmp_path), "s3": s3.root, "gcs": gcs.root}
    return f"{roots[request.param]}/bad-lines"


def _put(folder: str, objects: dict[str, bytes]) -> None:
    store, path = open_store("output", folder)
    if folder.startswith("/"):
        store.makedirs(path)
    store.pipe({f"{path}/{name}": data for name, data in objects.items()})


def _make_image(index: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (index % 256, index // 256, 5)).save(data, "PNG")
    return data.getvalue()


def _read(output: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    store, path = open_store("output", output)
    record = json.loads(store.cat_file(f"{path}/runs/r.json"))
    tables = [
        pq.read_table(io.BytesIO(store.cat_file(f"{path}/{file['path']}")))
        for file in record["files"]
    ]
    return record, pa.concat_tables(tables).to_pylist()


def test_a_thousand_references_are_accounted_for(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    good = _LINES - len(ANYWHERE)
    objects = {f"{index}.png": _make_image(index) for index in range(good)}
    lines = [{"photo": name, "sku": sku} for sku, name in enumerate(objects)]
    for index, text in enumerate(ANYWHERE):  # spread among the good ones
        lines.insert(index * 2, {"photo": text, "sku": good + index})
    manifest = "".join(json.dumps(line) + "\n" for line in lines).encode()
    _put(folder, {**objects, "m.jsonl": manifest})
    flags = [
        *(f"--input_manifest={folder}/m.jsonl", "--uri_column=photo", "--carry_columns=sku"),
        *(f"--output={folder}/out", f"--model={_MODEL}", "--run_id=r", "--max_error_ratio=0.01"),
        *("--allow_scheme=http", "--allow_scheme=https"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.impatient", "classify", *flags],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 3, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    record, rows = _read(f"{folder}/out")
    stages = Counter(row["error"]["stage"] for row in rows if row["error"])
    assert set(stages) <= {"list", "read"}
    by_sku = {json.loads(row["attributes"])["sku"]: row for row in rows}
    for index, text in enumerate(ANYWHERE):
        row = by_sku[good + index]
        assert row["status"] == "error", text
        assert "0x" not in row["error"]["message"]
    counts = {name: record["counts"][name] for name in ("listed", "ok", "error")}
    assert counts == {"listed": _LINES, "ok": good, "error": len(ANYWHERE)}
    assert len(rows) == _LINES
