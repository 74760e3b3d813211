import datetime
import functools
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import duckdb
import fsspec
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that

from imgcls_beam.elements import Failure, ImageFacts, ImageRef, Outcome, Prediction
from imgcls_beam.errors import ConfigError, FailureCode, Stage
from imgcls_beam.options import OutputOptions
from imgcls_beam.scoring import AppliedParameters, Execution, ModelSource, Scoring
from imgcls_beam.sinks import RunRecord, WriteParquet, begin_session, read_record
from imgcls_beam.sinks.session import open_output
from imgcls_beam.spec import LabelScore
from tests.runners import DEFAULT, REPEATED, TWO_PROCESSES, make_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_workers")]

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
COMMIT = "0123456789abcdef" * 2 + "01234567"
SCORING = Scoring(ModelSource("owner/model", COMMIT, "owner/model", COMMIT), 5)
KEYS = "run_date=2026-11-23/model=owner--model@0123456789ab/run_id=r1"


def make_outcome(index: int) -> Outcome:
    """Every tenth image failed; the others carry two labels."""
    ref = ImageRef(f"gs://bucket/{index:06d}.jpg", version=str(index))
    if index % 10 == 9:
        code = FailureCode.NOT_FOUND
        return Failure(ref, Stage.READ, code, "no such object", failed_at=NOON, scoring=SCORING)
    return Prediction(
        ref=ref,
        labels=(LabelScore(f"label {index % 3}", 0.75), LabelScore("other", 0.25)),
        margin=0.5,
        applied=AppliedParameters(5, "softmax", "model"),
        execution=Execution("cpu", "float32", 8, 2.0, NOON),
        scoring=SCORING,
        facts=ImageFacts(100, f"{index:064x}", 640, 480, "JPEG"),
        prepare_ms=1.0,
    )


def make_outcomes(first: int, count: int) -> Iterator[Outcome]:
    for index in range(first, first + count):
        yield make_outcome(index)


def die_at(outcome: Outcome, uri: str) -> Outcome:
    if outcome.ref.uri == uri:
        raise RuntimeError("a sick worker")
    return outcome


def make_uris(images: int) -> list[str]:
    return [make_outcome(index).ref.uri for index in range(images)]


def check_one_record(records: Sequence[RunRecord], listed: int) -> None:
    (record,) = records
    assert record.counts["listed"] == listed


def write(
    output: str,
    images: int,
    arguments: Sequence[str] = DEFAULT,
    listed: int | None = None,
    sick_at: str = "",
    file_bytes: int = 128 << 20,
) -> None:
    """Runs the sink over so many images, made in chunks of 100 that runners may spread."""
    listed = images if listed is None else listed
    options = PipelineOptions(list(arguments))
    chunks = [(first, min(100, images - first)) for first in range(0, images, 100)]
    with beam.Pipeline(options=options) as pipeline:
        outcomes = (
            pipeline
            | "Chunks" >> beam.Create(chunks)
            | "Spread" >> beam.Reshuffle()
            | "Make" >> beam.FlatMapTuple(make_outcomes)
            | "Die" >> beam.Map(die_at, sick_at)
        )
        count = pipeline | "Count" >> beam.Create([listed])
        where = OutputOptions(output, "r1", NOON.date(), file_bytes=file_bytes)
        records = outcomes | WriteParquet(where, count)
        assert_that(records, functools.partial(check_one_record, listed=listed))


def query(output: object, sql: str) -> list[tuple[Any, ...]]:
    rows = f"read_parquet('{output}/predictions/**/*.parquet', hive_partitioning=true)"
    answer: list[tuple[Any, ...]] = duckdb.sql(sql.format(rows=rows)).fetchall()
    return answer


def read_files(folder: pathlib.Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("arguments", "images"),
    [
        *((DEFAULT, 1), (REPEATED, 1), (DEFAULT, 2500), (REPEATED, 2500)),
        pytest.param(TWO_PROCESSES, 2500, marks=pytest.mark.slow),
        pytest.param(TWO_PROCESSES, 1, marks=pytest.mark.long),
    ],
)
def test_every_outcome_is_one_row_on_every_local_runner(
    tmp_path: pathlib.Path, arguments: list[str], images: int
) -> None:
    write(str(tmp_path / "out"), images, arguments)
    uris = query(tmp_path / "out", "select image_uri from {rows} order by image_uri")
    assert [uri for (uri,) in uris] == make_uris(images)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["predictions", "runs"]


def test_the_record_and_the_files_agree(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path), 2500)
    record = read_record(str(tmp_path / "runs" / "r1.json"))
    assert record.counts == {"listed": 2500, "ok": 2250, "error": 250, "skipped": 0}
    assert record.summary["bytes_read"] == 225_000
    assert record.summary["inference_ms"] == 4500.0
    assert {file.path for file in record.files} | {"runs/r1.json"} == read_files(tmp_path).keys()
    for file in record.files:
        assert pq.read_metadata(tmp_path / file.path).num_rows == file.rows
        assert file.path.startswith(f"predictions/{KEYS}/part-")


def test_duckdb_reads_rows_with_the_keys_of_their_path(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path), 20)
    sql = "select run_date, model, run_id, status, count(*) from {rows} group by all order by all"
    day = datetime.date(2026, 11, 23)
    assert query(tmp_path, sql) == [
        (day, "owner--model@0123456789ab", "r1", "error", 2),
        (day, "owner--model@0123456789ab", "r1", "ok", 18),
    ]
    fields = "predictions[1].label, top_score, params.function_to_apply, error"
    sql = f"select {fields} from {{rows}} where image_version = '0'"
    assert query(tmp_path, sql) == [("label 0", 0.75, "softmax", None)]
    sql = "select predictions, error.code from {rows} where status = 'error' limit 1"
    assert query(tmp_path, sql) == [([], "not_found")]


def test_pyarrow_reads_the_same_rows(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path), 250)
    table = ds.dataset(tmp_path / "predictions", partitioning="hive").to_table()
    assert sorted(table["image_uri"].to_pylist()) == make_uris(250)
    assert set(table["model"].to_pylist()) == {"owner--model@0123456789ab"}
    assert set(table["run_id"].to_pylist()) == {"r1"}


def test_files_are_compressed_and_their_lists_compliant(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path), 50)
    (file,) = read_record(str(tmp_path / "runs" / "r1.json")).files
    group = pq.read_metadata(tmp_path / file.path).row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert "predictions.list.element.score" in [column.path_in_schema for column in columns]


def test_no_image_at_all_is_a_run_without_files(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path), 0)
    record = read_record(str(tmp_path / "runs" / "r1.json"))
    assert (record.state, record.listed, record.files) == ("DONE", 0, ())
    assert read_files(tmp_path).keys() == {"runs/r1.json"}


def test_images_that_were_listed_and_lost_fail_the_run(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Exception, match="listed 101 images, but 100 rows"):
        write(str(tmp_path), 100, listed=101)
    assert not (tmp_path / "predictions").exists()
    (failed,) = (tmp_path / "runs").rglob("*.json")
    assert failed.parent.name == "failed"
    assert json.loads(failed.read_text())["state"] == "FAILED"


def test_a_run_id_is_published_once(tmp_path: pathlib.Path) -> None:
    write(str(tmp_path), 30)
    before = read_files(tmp_path)
    with pytest.raises(ConfigError, match="--run_id"):
        begin_session(OutputOptions(str(tmp_path), "r1"))
    with pytest.raises(Exception, match="published"):
        write(str(tmp_path), 40)
    after = {name: data for name, data in read_files(tmp_path).items() if "_staging" not in name}
    assert after == before


def test_a_run_after_a_dead_one_leaves_its_own_rows_only(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Exception, match="a sick worker"):
        write(str(tmp_path), 300, sick_at=make_uris(300)[-1])
    assert not (tmp_path / "runs").exists()
    write(str(tmp_path), 300)
    assert query(tmp_path, "select count(*), count(distinct image_uri) from {rows}") == [(300, 300)]
    assert not (tmp_path / "_staging").exists()


def test_an_output_in_memory_works_within_one_process() -> None:
    write("memory://sink/out", 120)
    record = read_record("memory://sink/out/runs/r1.json")
    store = fsspec.filesystem("memory")
    files = ["/sink/out/runs/r1.json", *(f"/sink/out/{file.path}" for file in record.files)]
    assert sorted(store.find("/sink/out")) == sorted(files)
    store.rm("/sink", recursive=True)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_configuration_that_is_no_object_is_refused_before_the_run(text: str) -> None:
    pipeline = make_pipeline()
    listed = pipeline | beam.Create([0])
    with pytest.raises(ConfigError, match="configuration"):
        WriteParquet("out", listed, configuration=text)


def test_the_paths_of_a_run_follow_its_options() -> None:
    _, paths = open_output(OutputOptions("out", "r1", NOON.date()))
    assert paths.run_folder(SCORING.model.key) == f"predictions/{KEYS}"


@pytest.mark.parametrize(
    "arguments", [DEFAULT, pytest.param(TWO_PROCESSES, marks=pytest.mark.long)]
)
def test_one_three_and_eight_files_hold_the_same_table(
    tmp_path: pathlib.Path, arguments: list[str]
) -> None:
    tables, counts = [], []
    for file_bytes in (1 << 30, 30_000, 1):
        out = tmp_path / str(file_bytes)
        write(str(out), 8000, arguments, file_bytes=file_bytes)
        files = read_record(str(out / "runs" / "r1.json")).files
        names = [f"part-{i:05d}-of-{len(files):05d}.parquet" for i in range(len(files))]
        assert [pathlib.Path(file.path).name for file in files] == names
        counts.append(len(files))
        tables.append(query(out, "select * from {rows} order by image_uri"))
    assert counts == ([1, 3, 8] if arguments is DEFAULT else sorted(set(counts)))
    assert len(tables[0]) == 8000
    assert tables[0] == tables[1] == tables[2]
