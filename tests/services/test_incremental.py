"""A bucket of several pages, and the night after: what was added or changed is scored, no more."""

import json
import pathlib

import duckdb
import pyarrow.dataset as ds
import pytest

from imgcls_beam.stores import open_store
from pipelines.__main__ import main
from tests.extent import choose
from tests.scenes import draw_photo, encode
from tests.servers import Server

pytestmark = pytest.mark.slow


def _classify(folder: str, model: pathlib.Path, run_id: str) -> dict[str, int]:
    places = [f"--input={folder}/photos", f"--output={folder}/out"]
    flags = [f"--model={model}", f"--run_id={run_id}", "--only=new", "--top_k=1"]
    assert main(["classify", *places, *flags]) == 0
    store, path = open_store("output", f"{folder}/out/runs/{run_id}.json")
    counts: dict[str, int] = json.loads(store.cat_file(path))["counts"]
    return counts


@pytest.mark.parametrize(
    "objects", [1_200, pytest.param(choose(10_000, 4_000), marks=pytest.mark.long(minutes=1))]
)
def test_42_are_scored_after_37_were_added_5_changed_and_3_deleted(
    server: Server, vit_folder: pathlib.Path, objects: int
) -> None:
    folder = f"nightly-{objects}"
    pictures = [encode(draw_photo(seed, (12, 12)), "PNG") for seed in range(50)]
    names = [f"{folder}/photos/{i % 16:x}/{i:06d}.png" for i in range(objects + 37)]
    content = {name: pictures[i % 40] for i, name in enumerate(names)}
    server.fill({name: content[name] for name in names[:objects]})
    url = f"{server.root}/{folder}"
    assert _classify(url, vit_folder, "first") == {
        "listed": objects,
        "ok": objects,
        "error": 0,
        "skipped": 0,
    }

    server.fill({name: content[name] for name in names[objects:]})
    changed = names[100 : objects : objects // 5]
    server.fill({name: pictures[45 + i] for i, name in enumerate(changed)})
    for name in names[7 : objects * 9 // 10 : objects * 35 // 100]:
        server.store.rm_file(f"{server.root.partition('://')[2]}/{name}")
    counts = _classify(url, vit_folder, "second")
    assert counts == {"listed": objects + 34, "ok": 42, "error": 0, "skipped": objects - 8}

    store, path = open_store("output", f"{url}/out/predictions")
    rows = ds.dataset(path, filesystem=store, partitioning="hive").to_table()
    assert rows.num_rows == objects + objects + 34
    scored = duckdb.sql(
        "select image_uri from rows where run_id = 'second' and status = 'ok' order by all"
    ).fetchall()
    expected = sorted([*changed, *names[objects:]])
    assert [uri for (uri,) in scored] == [f"{server.root}/{name}" for name in expected]
    versions = duckdb.sql("select count(*) from rows where image_version is null").fetchall()
    assert versions == [(0,)]
