"""10,000 objects in a bucket, and the night after: what was added or changed is scored, no more."""

import json
import pathlib

import duckdb
import pyarrow.dataset as ds
import pytest

from imgcls_beam.stores import open_store
from pipelines.__main__ import main
from tests.scenes import draw_photo, encode
from tests.servers import Server

pytestmark = pytest.mark.slow

_OBJECTS = 10_000


def _classify(server: Server, model: pathlib.Path, run_id: str) -> dict[str, int]:
    places = [f"--input={server.root}/nightly/photos", f"--output={server.root}/nightly/out"]
    flags = [f"--model={model}", f"--run_id={run_id}", "--only=new", "--top_k=1"]
    assert main(["classify", *places, *flags]) == 0
    store, path = open_store("output", f"{server.root}/nightly/out/runs/{run_id}.json")
    counts: dict[str, int] = json.loads(store.cat_file(path))["counts"]
    return counts


def test_42_of_10034_are_scored_after_37_were_added_5_changed_and_3_deleted(
    server: Server, vit_folder: pathlib.Path
) -> None:
    pictures = [encode(draw_photo(seed, (12, 12)), "PNG") for seed in range(50)]
    names = [f"nightly/photos/{i % 16:x}/{i:06d}.png" for i in range(_OBJECTS + 37)]
    content = {name: pictures[i % 40] for i, name in enumerate(names)}
    server.fill({name: content[name] for name in names[:_OBJECTS]})
    assert _classify(server, vit_folder, "first") == {
        "listed": _OBJECTS,
        "ok": _OBJECTS,
        "error": 0,
        "skipped": 0,
    }

    server.fill({name: content[name] for name in names[_OBJECTS:]})
    changed = names[100:10_000:2000]
    server.fill({name: pictures[45 + i] for i, name in enumerate(changed)})
    for name in names[7:9000:3500]:
        server.store.rm_file(f"{server.root.partition('://')[2]}/{name}")
    counts = _classify(server, vit_folder, "second")
    assert counts == {"listed": 10_034, "ok": 42, "error": 0, "skipped": 9_992}

    store, path = open_store("output", f"{server.root}/nightly/out/predictions")
    rows = ds.dataset(path, filesystem=store, partitioning="hive").to_table()
    assert rows.num_rows == _OBJECTS + 10_034
    scored = duckdb.sql(
        "select image_uri from rows where run_id = 'second' and status = 'ok' order by all"
    ).fetchall()
    expected = sorted([*changed, *names[_OBJECTS:]])
    assert [uri for (uri,) in scored] == [f"{server.root}/{name}" for name in expected]
    versions = duckdb.sql("select count(*) from rows where image_version is null").fetchall()
    assert versions == [(0,)]
