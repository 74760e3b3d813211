"""`imgcls classify` with input and output in a bucket, beside the same run on a local disk."""

import json
import pathlib
from typing import Any

import pyarrow.parquet as pq
import pytest

from imgcls_beam.stores import open_store
from pipelines.__main__ import main
from tests.servers import Server

_DEMO = pathlib.Path(__file__).parents[2] / "demo"

pytestmark = pytest.mark.slow


def _classify(images: str, output: str, *flags: str) -> int:
    places = [f"--input={images}", f"--output={output}", f"--model={_DEMO / 'model'}"]
    return main(["classify", *places, "--run_id=r1", *flags])


def _read_rows(output: str) -> dict[str, dict[str, Any]]:
    """The rows that the record names, by the name of the image, without what differs by place."""
    store, path = open_store("output", output)
    (record,) = [json.loads(store.cat_file(each)) for each in store.find(f"{path}/runs")]
    assert record["state"] == "DONE"
    rows = {}
    for file in record["files"]:
        with store.open(f"{path}/{file['path']}", "rb") as source:
            for row in pq.ParquetFile(source).read().to_pylist():
                rows[row["image_uri"].rpartition("/")[2]] = row
    assert len(rows) == record["counts"]["listed"]
    return rows


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    columns = ("image_sha256", "image_width", "image_format", "status", "top_label", "error")
    labels = [each["label"] for each in row["predictions"]]
    return {name: row[name] for name in columns} | {"labels": labels}


@pytest.fixture(scope="module")
def local_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    output = tmp_path_factory.mktemp("local")
    assert _classify(str(_DEMO / "images"), str(output)) == 3
    return _read_rows(str(output))


def test_a_bucket_gives_the_rows_of_a_local_folder(
    server: Server, local_rows: dict[str, dict[str, Any]]
) -> None:
    images = {each.name: each.read_bytes() for each in (_DEMO / "images").iterdir()}
    server.fill({f"program/images [1]/{name}": data for name, data in images.items()})
    output = f"{server.root}/program/out"
    assert _classify(f"{server.root}/program/images [1]", output) == 3
    rows = _read_rows(output)
    assert {key: _comparable(row) for key, row in rows.items()} == {
        key: _comparable(row) for key, row in local_rows.items()
    }
    for key, row in rows.items():
        assert row["image_version"]
        for ours, theirs in zip(row["predictions"], local_rows[key]["predictions"], strict=True):
            assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)
    assert _classify(f"{server.root}/program/images [1]", output) == 2  # it has been published
    assert _classify(f"{server.root}/program/images [1]", output, "--if_exists=replace") == 3
    assert _read_rows(output).keys() == rows.keys()
    left = server.store.find(f"{server.root}/program/out")
    assert not [each for each in left if "/predictions/" not in each and "/runs/" not in each]
