"""A finished run is found by its name or its age, and read column by column."""

import dataclasses
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.analysis import RunPlace, choose_model, list_runs, open_run
from imgcls_beam.errors import ConfigError
from imgcls_beam.rows import SCHEMA
from imgcls_beam.sinks import RunRecord
from imgcls_beam.stores import join_url
from tests.staged import RUN, SCORING
from tests.warehouse import publish_run, read_files

OTHER = dataclasses.replace(RUN, run_id="r2")


def read(output: str, columns: list[str], **asked: Any) -> list[dict[str, Any]]:
    batches = open_run(RunPlace(output), "r1").read(columns, **asked)
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("output", ["{folder}", "memory://runs/out"])
def test_all_columns_of_all_files_come_as_they_were_written(
    tmp_path: pathlib.Path, output: str
) -> None:
    output = output.format(folder=tmp_path)
    record = publish_run(output, [9, 3])
    keys = {"run_id": record.run_id, "run_date": record.run_date}
    rows = read(output, SCHEMA.names)
    assert sorted((row | keys for row in rows), key=lambda row: str(row["image_uri"])) == (
        read_files(output, record)
    )


def test_columns_have_their_order_and_rows_their_model_and_status(tmp_path: pathlib.Path) -> None:
    publish_run(str(tmp_path), [8])
    batch = next(open_run(RunPlace(str(tmp_path))).read(["top_label", "image_uri"]))
    assert batch.schema.names == ["top_label", "image_uri"]
    assert len(read(str(tmp_path), ["status"], status="error")) == 2
    assert len(read(str(tmp_path), ["status"], model_key=SCORING.model.key)) == 8
    assert read(str(tmp_path), ["status"], model_key="owner/other@000000000000") == []


def test_a_batch_has_no_more_rows_than_a_row_group(tmp_path: pathlib.Path) -> None:
    record = publish_run(str(tmp_path), [4])
    path = tmp_path / record.files[0].path
    data = pq.ParquetFile(path).read()
    pq.write_table(pa.concat_tables([data] * 10_000), path, row_group_size=30_000)
    change(tmp_path, record, files=[dataclasses.replace(record.files[0], rows=40_000)])
    sizes = [each.num_rows for each in open_run(RunPlace(str(tmp_path))).read(["image_uri"])]
    assert sum(sizes) == 40_000
    assert max(sizes) <= 16_384


def change(folder: pathlib.Path, record: RunRecord, **fields: Any) -> None:
    sizes = [(folder / each.path).stat().st_size for each in fields["files"]]
    files = [
        dataclasses.replace(each, size_bytes=size)
        for each, size in zip(fields["files"], sizes, strict=True)
    ]
    changed = dataclasses.replace(record, files=tuple(files))
    (folder / "runs" / f"{record.run_id}.json").write_text(changed.to_json())


def test_a_column_that_an_older_file_lacks_is_null(tmp_path: pathlib.Path) -> None:
    record = publish_run(str(tmp_path), [4])
    path = tmp_path / record.files[0].path
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["shared_with"]), path)
    change(tmp_path, record, files=list(record.files))
    assert read(str(tmp_path), ["shared_with"]) == [{"shared_with": None}] * 4


def test_without_a_name_it_is_the_run_that_was_finished_last(tmp_path: pathlib.Path) -> None:
    publish_run(str(tmp_path), [2], run=OTHER)
    publish_run(str(tmp_path), [1])
    assert open_run(RunPlace(str(tmp_path))).record.run_id == "r1"
    assert [each.run_id for each in list_runs(RunPlace(str(tmp_path)))] == ["r2", "r1"]


def test_a_run_that_is_not_there_is_refused_with_those_that_are(tmp_path: pathlib.Path) -> None:
    place = RunPlace(str(tmp_path))
    with pytest.raises(ConfigError, match=r"output='.*there is no finished run"):
        open_run(place, "r1")
    for number in range(7):
        publish_run(str(tmp_path), [1], run=dataclasses.replace(RUN, run_id=f"n{number}"))
    with pytest.raises(ConfigError, match="there is n6, n5, n4, n3, n2 and 2 earlier"):
        open_run(place, "r1")


def test_a_run_that_did_not_add_up_is_none(tmp_path: pathlib.Path) -> None:
    record = publish_run(str(tmp_path), [1])
    failed = dataclasses.replace(record, state="FAILED")
    (tmp_path / "runs" / "r1.json").write_text(failed.to_json())
    with pytest.raises(ConfigError, match="no finished run"):
        open_run(RunPlace(str(tmp_path)), "r1")
    (tmp_path / "runs" / "r1.json").write_text("{}")
    with pytest.raises(ConfigError, match="its record cannot be read"):
        open_run(RunPlace(str(tmp_path)), "r1")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [(pathlib.Path.unlink, "replaced or removed meanwhile"), (None, "cannot be listed or read")],
)
def test_files_that_are_gone_or_broken_are_a_sentence(
    tmp_path: pathlib.Path, spoil: Any, problem: str
) -> None:
    record = publish_run(str(tmp_path), [3])
    path = pathlib.Path(join_url(str(tmp_path), record.files[0].path))
    if spoil is None:
        path.write_bytes(b"\0" * path.stat().st_size)
    else:
        spoil(path)
    with pytest.raises(ConfigError, match=problem):
        read(str(tmp_path), ["image_uri"])


@pytest.mark.parametrize("given", [{}, {"output": "out", "table": "p.d.t"}])
def test_a_place_is_one(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="not both"):
        RunPlace(**given)


def test_of_several_models_one_is_named(tmp_path: pathlib.Path) -> None:
    record = publish_run(str(tmp_path), [1])
    assert choose_model(record).key == SCORING.model.key
    other = dataclasses.replace(record.models[0], id="z/other", key=f"z/other@{'0' * 12}")
    both = dataclasses.replace(record, models=(*record.models, other))
    assert choose_model(both, "z/other") == choose_model(both, other.key) == other
    for named in (None, "z/none"):
        with pytest.raises(ConfigError, match=r"owner/model@a+, z/other@0+; name one"):
            choose_model(both, named)
    with pytest.raises(ConfigError, match="no rows of any model"):
        choose_model(dataclasses.replace(record, models=()))
