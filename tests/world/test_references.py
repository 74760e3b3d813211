"""References to one image: each has its row, equal ones are one, the image is looked at once."""

import base64
import collections
import csv
import io
import itertools
import json
import pathlib
import tarfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import apache_beam as beam
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from hypothesis import given, settings
from hypothesis import strategies as st

import imgcls_beam.asked_images
import imgcls_beam.prefetch
from imgcls_beam import ClassifyImages, ListImages, WriteParquet
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.listing import ref_of, reference_groups
from imgcls_beam.listing.reference_groups import group_few, group_references
from imgcls_beam.options import InputOptions, ManifestOptions, ReadOptions
from tests.pipelines.test_classify import read_record, read_rows
from tests.runners import IN_MEMORY, REPEATED
from tests.scenes import draw_photo, encode

pytestmark = pytest.mark.slow

SCHEME = "memory"
WAYS = [
    pytest.param((False, IN_MEMORY), id="on disk"),
    pytest.param((True, IN_MEMORY), id="joined"),
    pytest.param((True, REPEATED), id="joined, bundles twice"),
]
Way = tuple[bool, Sequence[str]]
Lines = Sequence[tuple[str, str]]


class Counted(MemoryFileSystem):
    """Files in memory that count how often each is read."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    reads: ClassVar[collections.Counter[str]] = collections.Counter()

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        self.reads[path.rpartition("/")[2]] += 1
        data: bytes = super().cat_file(path, start, end, **kwargs)
        return data


class Looks:
    """How many images were decoded, and how many of a job's images the model was given.

    What it is asked to see whether it is well does not count: a model that is still in this
    process from the test before is not asked again.
    """

    decoded = predicted = 0


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    seen, counting = Looks(), threading.Lock()
    prepare, asked_model = imgcls_beam.prefetch.prepare_in_box, imgcls_beam.asked_images.AskedModel
    classify = asked_model.classify

    def count_prepared(*args: Any, **keywords: Any) -> Any:
        seen.decoded += 1
        return prepare(*args, **keywords)

    def count_predicted(model: Any, batch: Any) -> Any:
        with counting:  # two batches are predicted at once
            seen.predicted += len(batch)
        return classify(model, batch)

    monkeypatch.setitem(_registry, SCHEME, Counted)
    monkeypatch.setattr(imgcls_beam.prefetch, "prepare_in_box", count_prepared)
    monkeypatch.setattr(asked_model, "classify", count_predicted)
    Counted.store.clear()
    Counted.reads.clear()
    yield seen
    Counted.clear_instance_cache()


def draw(seed: int) -> bytes:
    return encode(draw_photo(seed, (48, 40)), "JPEG")


def put(**files: bytes) -> None:
    store = fsspec.filesystem(SCHEME)
    for name, data in files.items():
        store.pipe_file(f"/photos/{name.replace('_', '.')}", data)


def put_manifest(lines: Lines) -> ManifestOptions:
    text = io.StringIO()
    csv.writer(text).writerows([("photo", "sku"), *lines])
    fsspec.filesystem(SCHEME).pipe_file("/photos/m.csv", text.getvalue().encode())
    return ManifestOptions(f"{SCHEME}://photos/m.csv", "photo", carry_columns=("sku",))


def run(
    inputs: InputOptions, output: pathlib.Path, model: pathlib.Path, way: Way, **read: Any
) -> list[dict[str, Any]]:
    is_spread, arguments = way
    options = ReadOptions(**read)
    with beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
        listed = pipeline | ListImages(inputs, is_spread)
        outcomes = (listed | ClassifyImages(str(model), read=options, batch_size=4)).outcomes
        _ = outcomes | WriteParquet(str(output), run_id="r1")
    return read_rows(output)


def name_of(row: dict[str, Any]) -> str:
    return str(row["image_uri"]).rpartition("/")[2]


HOT: Lines = [line for i in range(150) for line in (("0.jpg", f"n{i}"), (f"{i % 3}.jpg", "same"))]
MANIFESTS: dict[str, Lines] = {
    "two ids of one image": [("0.jpg", "A"), ("0.jpg", "B"), ("1.jpg", "C")],
    "two ids, equal lines, and a blank one": [
        *(("0.jpg", "A"), ("1.jpg", "C"), ("0.jpg", "B"), ("0.jpg", "A"), ("0.jpg", "A")),
        *(("1.jpg", ""), ("1.jpg", "C")),
    ],
    "one image under a hundred ids, far apart": HOT,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lines", MANIFESTS.values(), ids=list(MANIFESTS))
def test_each_line_has_its_row_and_each_image_is_looked_at_once(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, looks: Looks, lines: Lines, way: Way
) -> None:
    images = {name for name, _ in lines}
    put(**{name.replace(".", "_"): draw(int(name[0])) for name in images})
    inputs = InputOptions(manifest=put_manifest(lines))
    rows = run(inputs, tmp_path, vit_folder, way)
    found = {(name_of(row), json.loads(row["attributes"])["sku"]): row for row in rows}
    assert len(found) == len(rows)
    counted = collections.Counter(lines)
    assert {key: row["duplicates"] + 1 for key, row in found.items()} == counted
    record = read_record(tmp_path)
    assert record["counts"] == {
        "listed": len(counted),
        "ok": len(counted),
        "error": 0,
        "skipped": 0,
    }
    assert record["duplicates"] == len(lines) - len(counted)
    assert record["shared"] == len(counted) - len(images)
    for name in images:
        own = [row for row in rows if name_of(row) == name]
        assert [row["shared_with"] for row in own].count(None) == 1
        assert {row["shared_with"] for row in own} <= {None, own[0]["image_uri"]}
        assert len({json.dumps(row["predictions"]) for row in own}) == 1
    times = 3 if way[1] == REPEATED else 1  # what bundles do that run again
    assert len(images) <= looks.predicted <= len(images) * times
    assert looks.decoded <= len(images) * times
    assert max(Counted.reads[name] for name in images) <= times


@pytest.mark.parametrize("way", WAYS[:2])
@pytest.mark.parametrize("limit", [None, 2])
def test_a_line_of_a_manifest_wins_over_the_same_object_of_an_input(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, looks: Looks, way: Way, limit: int | None
) -> None:
    put(a_jpg=draw(1), b_jpg=draw(2), c_jpg=draw(3))
    manifest = put_manifest([("c.jpg", "C"), ("a.jpg", "A1"), ("a.jpg", "A2")])
    folder = f"{SCHEME}://photos"
    inputs = InputOptions((folder, folder), limit=limit, manifest=manifest)
    rows = run(inputs, tmp_path, vit_folder, way)
    skus = sorted((name_of(row), row["attributes"]) for row in rows)
    expected = [("a.jpg", '{"sku":"A1"}'), ("a.jpg", '{"sku":"A2"}'), ("b.jpg", None)]
    expected.append(("c.jpg", '{"sku":"C"}'))
    if limit is None:
        assert skus == expected
        assert read_record(tmp_path)["duplicates"] == 5  # b once, and a and c twice
    else:
        assert skus == [expected[0], expected[3]]
    assert looks.decoded == len({name for name, _ in skus})


def _put_copies(folder: pathlib.Path, data: bytes) -> InputOptions:
    for name in ("a.jpg", "b.jpg", "deep/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return InputOptions((str(folder),))


def _put_members(folder: pathlib.Path, data: bytes) -> InputOptions:
    for shard in range(2):
        with tarfile.open(folder / f"{shard}.tar", "w") as archive:
            for name in ("a.jpg", "b.jpg")[: 2 - shard]:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return InputOptions((str(folder),))


def _put_cells(folder: pathlib.Path, data: bytes) -> InputOptions:
    pq.write_table(pa.table({"image": [data] * 3}), folder / "t.parquet")
    return InputOptions(manifest=ManifestOptions(str(folder), image_column="image"))


def _put_requests(folder: pathlib.Path, data: bytes) -> InputOptions:
    text = base64.b64encode(data).decode()
    asked = [{"top_k": 1}, {"top_k": 3, "function_to_apply": "sigmoid"}, {}]
    lines = [json.dumps({"inputs": text, "parameters": each}) for each in asked]
    (folder / "r.jsonl").write_text("\n".join(lines))
    return InputOptions(requests=(str(folder / "r.jsonl"),))


@pytest.mark.parametrize("way", WAYS[:2])
@pytest.mark.parametrize("fill", [_put_copies, _put_members, _put_cells, _put_requests])
def test_images_of_the_same_bytes_are_predicted_once_unless_that_is_switched_off(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, looks: Looks, fill: Any, way: Way
) -> None:
    (tmp_path / "in").mkdir()
    inputs = fill(tmp_path / "in", draw(7))
    shared = run(inputs, tmp_path / "on", vit_folder, way)
    once = looks.predicted
    alone = run(inputs, tmp_path / "off", vit_folder, way, dedupe="off")
    assert (once, looks.predicted - once) == (1, 3)
    assert [row["shared_with"] for row in alone] == [None] * 3
    (first,) = (row["image_uri"] for row in shared if row["shared_with"] is None)
    assert [row["shared_with"] for row in shared].count(first) == 2
    for ours, theirs in zip(*(sorted(r, key=name_of) for r in (shared, alone)), strict=True):
        assert ours["params"] == theirs["params"]
        pairs = zip(ours["predictions"], theirs["predictions"], strict=True)
        assert all(
            a["label"] == b["label"] and abs(a["score"] - b["score"]) < 1e-6 for a, b in pairs
        )
    assert sum(row["inference_ms"] > 0 for row in shared) == 1


def test_what_cannot_be_read_or_decoded_is_a_row_for_each_of_its_references(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, looks: Looks
) -> None:
    put(bad_jpg=draw(1)[:100], empty_jpg=b"")
    lines = [(name, sku) for sku in "ABC" for name in ("bad.jpg", "empty.jpg", "gone.jpg")]
    inputs = InputOptions(manifest=put_manifest(lines))
    rows = run(inputs, tmp_path, vit_folder, (False, IN_MEMORY), tries=1)
    codes = collections.Counter((name_of(row), row["error"]["code"]) for row in rows)
    assert set(codes.values()) == {3}
    assert {name for name, _ in codes} == {"bad.jpg", "empty.jpg", "gone.jpg"}
    assert looks.decoded == 1


REFS = st.builds(
    ImageRef,
    st.sampled_from(["a", "b", "c", "d\ud800"]),
    attributes=st.sampled_from([None, {"sku": "A"}, {"sku": "B"}, {"sku": None}, {}]),
)


def group_naively(refs: Sequence[ImageRef]) -> dict[str, collections.Counter[str]]:
    """By URI: how often each text is there; bare references are of the first that is not."""
    by_uri: dict[str, list[str]] = {}
    for ref in refs:
        text = "" if ref.attributes is None else json.dumps(ref.attributes)
        by_uri.setdefault(ref.uri, []).append(text)
    grouped = {}
    for uri, texts in by_uri.items():
        first = next(filter(None, texts), "")
        grouped[uri] = collections.Counter(text or first for text in texts)
    return grouped


@settings(max_examples=60, deadline=None)
@given(st.lists(REFS, max_size=24), st.sampled_from([0, 2, 1 << 14]))
def test_grouping_counts_every_reference_in_memory_and_on_disk(
    refs: list[ImageRef], kept: int
) -> None:
    ordered = sorted(refs, key=lambda ref: ref.attributes is None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_groups, "_KEPT_IMAGES", kept)
        patch.setattr(reference_groups, "_KEPT_TOGETHER", 3 if kept else 1 << 10)
        found = list(group_references(ordered))
        by_image = [
            [ref for ref in refs if ref.uri == uri] for uri in dict.fromkeys(r.uri for r in refs)
        ]
        in_groups = [each for group in by_image for each in group_few(group)]
    for listed in (found, in_groups):
        counted: dict[str, collections.Counter[str]] = {}
        for each in listed:
            assert not isinstance(each, Failure)
            text = "" if each.attributes is None else json.dumps(each.attributes)
            counted.setdefault(each.uri, collections.Counter())[text] += 1 + each.duplicates
        assert counted == group_naively(refs)
        assert len(listed) == sum(map(len, counted.values()))
    in_order = [uri for uri, _ in itertools.groupby(ref_of(each).uri for each in found)]
    assert in_order == list(dict.fromkeys(ref.uri for ref in ordered))
