"""What is new since the last run: other carried columns, times of the web, archived objects."""

import contextlib
import functools
import http.server
import os
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from imgcls_beam.errors import FailureCode
from imgcls_beam.reading.faults import to_image_error
from imgcls_beam.stores.versions import updated_at_of, version_of
from imgcls_beam.warehouse.querying import open_runs
from pipelines.__main__ import main
from tests.gallery import ask
from tests.pipelines.test_classify import read_record
from tests.scenes import write_photos

pytestmark = pytest.mark.slow

Lines = list[tuple[str, str]]
NIGHTS: dict[str, list[Lines]] = {
    "another id": [[("0.jpg", "OLD")], [("0.jpg", "NEW")]],
    "a second id": [[("0.jpg", "A"), ("1.jpg", "B")], [("0.jpg", "A"), ("0.jpg", "C")]],
    "an id less, and an image less": [
        [("0.jpg", "A"), ("0.jpg", "B"), ("1.jpg", "C")],
        [("0.jpg", "B")],
    ],
}


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    for index, path in enumerate(write_photos(tmp_path, 2)):
        path.rename(tmp_path / f"{index}.jpg")
    return tmp_path


def classify(photos: pathlib.Path, model: pathlib.Path, lines: Lines, run_id: str) -> int:
    text = "".join(f"{name},{sku}\n" for name, sku in lines)
    (photos / "m.csv").write_text(f"photo,sku\n{text}")
    flags = ["--uri_column=photo", "--carry_columns=sku", f"--output={photos / 'out'}"]
    flags += [f"--model={model}", f"--run_id={run_id}", "--only=new", "--max_error_ratio=1"]
    return main(["classify", f"--input_manifest={photos / 'm.csv'}", *flags])


def find_latest(output: pathlib.Path) -> list[tuple[Any, ...]]:
    query = (
        "SELECT parse_filename(image_uri), attributes ->> '$.sku', run_id, predicted_run_id, "
        "status, len(predictions) > 0 FROM predictions_latest ORDER BY ALL"
    )
    return ask(open_runs(str(output)), query)


@pytest.mark.parametrize("nights", NIGHTS.values(), ids=list(NIGHTS))
def test_latest_says_what_is_carried_now_with_the_scores_that_there_are(
    photos: pathlib.Path, vit_folder: pathlib.Path, nights: list[Lines]
) -> None:
    first, second = nights
    assert classify(photos, vit_folder, first, "n1") == 0
    assert classify(photos, vit_folder, second, "n2") == 0
    counts = read_record(photos / "out", "n2")["counts"]
    assert counts == {"listed": len(second), "ok": 0, "error": 0, "skipped": len(second)}
    gone = {name for name, _ in first} - {name for name, _ in second}
    expected = [(name, sku, "n2", "n1", "ok", True) for name, sku in second]
    expected += [(name, sku, "n1", "n1", "ok", True) for name, sku in first if name in gone]
    assert find_latest(photos / "out") == sorted(expected)


def test_an_image_that_fails_later_keeps_its_scores_and_gets_the_new_id(
    photos: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    assert classify(photos, vit_folder, [("0.jpg", "A")], "n1") == 0
    (photos / "0.jpg").write_bytes(b"no image")
    os.utime(photos / "0.jpg", (2e9, 2e9))
    assert classify(photos, vit_folder, [("0.jpg", "B"), ("0.jpg", "C")], "n2") == 0
    assert read_record(photos / "out", "n2")["counts"]["error"] == 2
    expected = [("0.jpg", sku, "n2", "n1", "ok", True) for sku in "BC"]
    assert find_latest(photos / "out") == expected
    connection = open_runs(str(photos / "out"))
    current = "SELECT attributes ->> '$.sku', status FROM predictions_current ORDER BY 1"
    assert ask(connection, current) == [("B", "error"), ("C", "error")]


def test_two_models_over_one_image_of_several_ids_are_one_comparison(
    photos: pathlib.Path, vit_folder: pathlib.Path, model_folders: dict[str, pathlib.Path]
) -> None:
    lines = [("0.jpg", "A"), ("0.jpg", "B"), ("1.jpg", "C")]
    for run_id, model in (("n1", vit_folder), ("n2", model_folders["resnet"])):
        assert classify(photos, model, lines, run_id) == 0
    pairs = "SELECT parse_filename(image_uri), count(*) FROM model_compare GROUP BY 1 ORDER BY 1"
    assert ask(open_runs(str(photos / "out")), pairs) == [("0.jpg", 1), ("1.jpg", 1)]


def test_what_is_tried_again_is_the_reference_that_failed(
    photos: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    good = (photos / "0.jpg").read_bytes()
    (photos / "0.jpg").write_bytes(good[:200])
    lines = [("0.jpg", "A"), ("0.jpg", "B"), ("1.jpg", "C")]
    assert classify(photos, vit_folder, lines, "n1") == 0
    assert read_record(photos / "out", "n1")["counts"]["error"] == 2
    (photos / "0.jpg").write_bytes(good)
    text = "photo,sku\n0.jpg,A\n0.jpg,B\n0.jpg,D\n1.jpg,C\n"
    (photos / "m.csv").write_text(text)  # D was not in the run
    assert main(["retry", f"--output={photos / 'out'}", "--run_id=n1"]) == 0
    record = read_record(photos / "out", "n1")
    assert record["counts"] == {"listed": 3, "ok": 3, "error": 0, "skipped": 0}
    assert [row[:2] for row in find_latest(photos / "out")] == lines


TIMES = {
    "of HTTP": ({"Last-Modified": "Thu, 26 Nov 2026 02:43:04 GMT"}, "2026-11-26T02:43:04"),
    "of HTTP, of a server east": (
        {"Last-Modified": "Thu, 26 Nov 2026 04:43:04 +0200"},
        "2026-11-26T02:43:04",
    ),
    "of WebHDFS": ({"modificationTime": 1795660984250}, "2026-11-26T02:43:04.250"),
    "of FTP": ({"modify": "20261126024304"}, "2026-11-26T02:43:04"),
    "of nothing": ({"Last-Modified": "yesterday, or so"}, None),
}


@pytest.mark.parametrize(("info", "time"), TIMES.values(), ids=list(TIMES))
def test_the_time_of_a_store_that_has_nothing_else_is_a_version(
    info: dict[str, Any], time: str | None
) -> None:
    version, updated_at = version_of(info), updated_at_of(info)
    if time is None:
        assert (version, updated_at) == (None, None)
        return
    assert updated_at is not None
    assert updated_at.isoformat().startswith(time)
    assert version == updated_at.isoformat(timespec="microseconds")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Python's own server says `Last-Modified`, and no etag."""

    def log_message(self, *args: object) -> None:
        del args


@contextlib.contextmanager
def serve(folder: pathlib.Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_images_of_the_web_are_skipped_by_their_time(
    photos: pathlib.Path, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLS_PRIVATE_HOSTS", "127.0.0.1")
    for path in photos.glob("*.jpg"):
        os.utime(path, (1.7e9, 1.7e9))
    flags = [f"--output={photos / 'out'}", f"--model={vit_folder}", "--only=new"]
    flags += ["--allow_scheme=http", f"--input_manifest={photos / 'm.txt'}"]
    with serve(photos) as root:
        (photos / "m.txt").write_text(f"{root}/0.jpg\n{root}/1.jpg\n")
        assert main(["classify", *flags, "--run_id=n1"]) == 0
        os.utime(photos / "1.jpg", (1.8e9, 1.8e9))
        assert main(["classify", *flags, "--run_id=n2"]) == 0
    counts = read_record(photos / "out", "n2")["counts"]
    assert counts == {"listed": 2, "ok": 1, "error": 0, "skipped": 1}


class ClientError(Exception):
    """As botocore has it."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__("An error occurred")
        metadata = {"HTTPStatusCode": status}
        self.response = {"Error": {"Code": code}, "ResponseMetadata": metadata}


class HttpResponseError(Exception):
    """As azure has it."""

    def __init__(self, error_code: str, status_code: int) -> None:
        super().__init__("This operation is not permitted on an archived blob.")
        self.error_code, self.status_code = error_code, status_code


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REFUSALS: dict[str, tuple[Exception, FailureCode]] = {
    "S3": (
        _caused(PermissionError("not valid"), ClientError("InvalidObjectState", 403)),
        FailureCode.ARCHIVED,
    ),
    "S3, untranslated": (ClientError("InvalidObjectState", 403), FailureCode.ARCHIVED),
    "Azure": (HttpResponseError("BlobArchived", 409), FailureCode.ARCHIVED),
    "Azure, on its way back": (HttpResponseError("BlobBeingRehydrated", 409), FailureCode.ARCHIVED),
    "GCS": (OSError("Forbidden: b/o\nInvalidObjectState: archived"), FailureCode.ARCHIVED),
    "a name that says so": (
        OSError("Forbidden: b/InvalidObjectState.jpg\nno access"),
        FailureCode.PERMISSION_DENIED,
    ),
    "credentials": (
        _caused(PermissionError("denied"), ClientError("AccessDenied", 403)),
        FailureCode.PERMISSION_DENIED,
    ),
}


@pytest.mark.parametrize(("error", "code"), REFUSALS.values(), ids=list(REFUSALS))
def test_an_archived_object_is_no_fault_of_the_credentials(
    error: Exception, code: FailureCode
) -> None:
    found = to_image_error(error)
    assert (found.code, found.retryable) == (code, False)
