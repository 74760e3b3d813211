"""Every fact fits its column: rows of extreme facts, texts and numbers of every kind.

Each outcome becomes one row of Parquet that BigQuery's columns can hold, and one line of JSON.
"""

import datetime
import io
import json
import math
import pathlib
import struct
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcls_beam.attributes import find_attributes_problem
from imgcls_beam.elements import (
    EncodedImage,
    Failure,
    ImageFacts,
    ImageRef,
    Outcome,
    Prediction,
    Skipped,
)
from imgcls_beam.errors import STAGE_OF, FailureCode
from imgcls_beam.lines import encode_line
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.rows import SCHEMA, to_record_batch
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.spec import LabelScore
from imgcls_beam.summary import summarize
from imgcls_beam.warehouse.columns import FILE_COLUMNS, Column
from pipelines.__main__ import main
from tests.scenes import write_photos
from tests.staged import NOON, SCORING

_LONG = "x" * (10 << 20)
_ODD = ("", "\ud800", "a\udc80b", "\0", "\u2028", "=HYPERLINK()", "\U0010ffff", "'\"\\", "\r\n")
TEXTS = st.one_of(st.text(), st.sampled_from(_ODD), st.text(st.characters()))
"""`st.characters` gives surrogates too."""
_EDGES = [
    side * (1 << bits) + step
    for bits in (7, 8, 15, 16, 31, 32, 53, 63, 64, 128, 1024)
    for side in (1, -1)
    for step in (-1, 0, 1)
]
INTEGERS = st.one_of(st.none(), st.integers(), st.sampled_from([*_EDGES, 4_294_967_169]))
NUMBERS = st.one_of(st.none(), st.floats(), st.sampled_from([*map(float, _EDGES[:60]), 5e-324]))
ZONES = st.sampled_from(
    [None, datetime.UTC, *(datetime.timezone(datetime.timedelta(hours=h)) for h in (-23, 23))]
)
TIMES = st.one_of(
    st.none(),
    st.datetimes(timezones=ZONES),
    st.sampled_from(
        [
            datetime.datetime.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-12))),
            datetime.datetime.min.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=12))),
        ]
    ),
)
VALUES = st.recursive(
    st.one_of(INTEGERS, NUMBERS, TEXTS, st.booleans(), st.binary(), TIMES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
IDS = st.one_of(st.none(), TEXTS, st.integers(), st.just(10**5000), st.just(-(10**9999)))
REFS = st.builds(
    ImageRef,
    uri=TEXTS,
    version=st.one_of(st.none(), TEXTS),
    size_bytes=INTEGERS,
    updated_at=TIMES,
    attributes=st.one_of(st.none(), st.dictionaries(TEXTS, VALUES, max_size=3)),
    request_id=IDS,
)
FACTS = st.one_of(
    st.none(),
    st.builds(
        ImageFacts,
        size_bytes=INTEGERS.map(lambda size: size or 0),
        sha256=TEXTS,
        width_px=INTEGERS,
        height_px=INTEGERS,
        format=st.one_of(st.none(), TEXTS),
    ),
)
COUNTS = INTEGERS.map(lambda count: count or 1)
FAILURES = st.builds(
    lambda code, **fields: Failure(stage=STAGE_OF[code], code=code, **fields),
    code=st.sampled_from(FailureCode),
    ref=REFS,
    message=TEXTS,
    tries=COUNTS,
    facts=FACTS,
    failed_at=st.just(NOON),
    scoring=st.just(SCORING),
)
PREDICTIONS = st.builds(
    Prediction,
    ref=REFS,
    labels=st.lists(st.builds(LabelScore, TEXTS, st.floats()), max_size=3).map(tuple),
    margin=NUMBERS,
    applied=st.builds(
        AppliedParameters,
        top_k=INTEGERS.map(lambda top_k: None if top_k is None else abs(top_k)),
        function_to_apply=st.just("softmax"),
        function_source=st.just("job"),
    ),
    execution=st.builds(
        Execution,
        device=TEXTS,
        dtype=TEXTS,
        batch_size=COUNTS,
        inference_ms=NUMBERS.map(lambda number: number or 0.0),
        finished_at=st.just(NOON),
    ),
    scoring=st.just(SCORING),
    facts=FACTS,
    prepare_ms=NUMBERS,
)
SKIPPED = st.builds(Skipped, ref=REFS, scoring=st.just(SCORING), skipped_at=st.just(NOON))


def _to_rows(*outcomes: Outcome | Skipped) -> list[dict[str, Any]]:
    """The rows as they come back from a Parquet file."""
    batch = to_record_batch(outcomes)
    batch.validate(full=True)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_batches([batch]), file)
    assert pq.read_schema(file).equals(SCHEMA)
    json.dumps(summarize(batch).to_json(), allow_nan=False)
    return list(pq.read_table(file).to_pylist())


def _fits(column: Column, value: Any) -> bool:
    """Whether BigQuery's column can hold a value (cloud.google.com/bigquery/docs, data types)."""
    if column.mode == "REPEATED":
        one = Column(column.name, column.kind, "NULLABLE", fields=column.fields)
        return isinstance(value, list) and all(_fits(one, each) for each in value)
    if value is None:
        return column.mode == "NULLABLE"
    if column.kind == "RECORD":
        return all(_fits(field, value[field.name]) for field in column.fields)
    if column.kind == "STRING":
        return isinstance(value, str) and value.encode().decode() == value
    if column.kind == "INTEGER":
        return isinstance(value, int) and -(2**63) <= value < 2**63
    if column.kind == "TIMESTAMP":
        return isinstance(value, datetime.datetime) and 1 <= value.year <= 9999
    return column.kind == "FLOAT" and isinstance(value, float)


def _check(*outcomes: Outcome | Skipped) -> list[dict[str, Any]]:
    rows = _to_rows(*outcomes)
    assert len(rows) == len(outcomes)
    for row in rows:
        assert [column.name for column in FILE_COLUMNS if not _fits(column, row[column.name])] == []
        if row["attributes"] is not None:
            assert isinstance(json.loads(row["attributes"]), dict)
    for outcome in outcomes:
        if not isinstance(outcome, Skipped):
            line = encode_line(outcome)
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1
            assert ("error" in json.loads(line)) != ("response" in json.loads(line))
    return rows


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(outcomes=st.lists(st.one_of(FAILURES, PREDICTIONS, SKIPPED), min_size=1, max_size=4))
@pytest.mark.slow
def test_any_facts_are_a_row_and_a_line(outcomes: list[Outcome | Skipped]) -> None:
    _check(*outcomes)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(ref=REFS)
def test_any_reference_that_is_read_has_attributes_that_fit(ref: ImageRef) -> None:
    (result,) = read_images([EncodedImage(ref, b"x")], ReadOptions())
    assert find_attributes_problem(result.ref.attributes) is None


FAILURE = Failure(
    ImageRef("a"), STAGE_OF[FailureCode.CORRUPT], FailureCode.CORRUPT, "why", scoring=SCORING
)


@pytest.mark.parametrize(
    ("width", "kept"),
    [(4_294_967_169, None), (2**31, None), (2**63, None), (2**31 - 1, 2**31 - 1), (-(2**40), None)],
)
def test_a_width_that_fits_no_column_is_null(width: int, kept: int | None) -> None:
    facts = ImageFacts(2**63, "0" * 64, width, width, "BMP")
    failure = Failure(FAILURE.ref, FAILURE.stage, FAILURE.code, "why", facts=facts, scoring=SCORING)
    (row,) = _check(failure)
    assert (row["image_width"], row["image_height"], row["image_bytes"]) == (kept, kept, None)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["uri", "version", "request_id"])
def test_ten_megabytes_of_text_are_a_cell(field: str) -> None:
    ref = ImageRef(**{"uri": "a", field: _LONG})
    (row,) = _check(
        Failure(ref, FAILURE.stage, FAILURE.code, _LONG, scoring=SCORING),
    )
    name = {"uri": "image_uri", "version": "image_version"}.get(field, field)
    assert (row[name], row["error"]["message"]) == (_LONG, _LONG)


class Hostile:
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "value",
    [math.nan, 10**5000, {(1, 2): 3}, Hostile(), [[[10**9999]]], {"a": _LONG}],
    ids=["nan", "5,000 digits", "a tuple as a name", "an object that raises", "deep", "10 MB"],
)
def test_attributes_of_any_kind_are_kept_or_refused(value: Any) -> None:
    ref = ImageRef("a", attributes={"a": value})
    (result,) = read_images([EncodedImage(ref, b"x")], ReadOptions())
    if isinstance(result, Failure):
        assert result.code is FailureCode.INVALID_REFERENCE
        assert result.ref.attributes is None
    else:
        _check(Skipped(result.ref, SCORING))


def _make_bitmap(width: int, height: int = 1) -> bytes:
    header = struct.pack("<IIIHHIIIIII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + 12, 0, 0, 54) + header + bytes(12)


def test_a_bitmap_of_four_milliard_columns_is_one_row_of_a_job(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 1)
    for width in (4_294_967_169, 2**31, 2**32 - 1, 2**31 - 1):
        (tmp_path / "photos" / f"{width}.bmp").write_bytes(_make_bitmap(width))
    places = [f"--input={tmp_path}/photos", f"--output={tmp_path}/out", f"--model={vit_folder}"]
    assert main(["classify", *places, "--run_id=r", f"--output_jsonl={tmp_path}/a.jsonl"]) == 3
    rows = pq.ParquetDataset(tmp_path / "out" / "predictions").read().to_pylist()
    assert sorted(row["status"] for row in rows) == ["error"] * 4 + ["ok"]
    assert {row["error"]["stage"] for row in rows if row["error"]} == {"prepare"}
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 5
