import hashlib
import itertools
import math
import pathlib
import random

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import Failure, ImageRef, Prediction
from imgcls_beam.errors import FailureCode, PublishError, Stage
from imgcls_beam.rows import SCHEMA, to_record_batch
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.sinks.merging import merge_files, plan_merges
from imgcls_beam.sinks.staged_files import (
    MAX_GROUP_BYTES,
    MAX_GROUP_ROWS,
    BundleWriter,
    RecordedFile,
    StagingWriter,
)
from imgcls_beam.spec import LabelScore
from imgcls_beam.stores import open_folder
from tests.staged import (
    NOON,
    SCORING,
    begin,
    list_output,
    make_batch,
    make_uris,
    stage,
    stage_merged,
)


def make_row(uri: str) -> Failure:
    return Failure(
        ImageRef(uri), Stage.READ, FailureCode.NOT_FOUND, "gone", failed_at=NOON, scoring=SCORING
    )


def make_writer(output: pathlib.Path, **changes: int) -> BundleWriter:
    return BundleWriter(open_folder("output", str(output)), "staging", **changes)


def make_files(*sizes: int) -> list[RecordedFile]:
    return [RecordedFile(f"f{i:03d}", 10, size, "00") for i, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([5], [1]),
        ([100], [1]),
        ([500], [1]),
        ([40, 40, 40], [2, 1]),
        ([60, 60, 60], [1, 1, 1]),
        ([500, 10, 10], [1, 2]),
        ([10, 500, 10], [1, 1, 1]),
        ([1] * 250, [100, 100, 50]),
    ],
)
def test_files_are_of_about_the_target_size(sizes: list[int], groups: list[int]) -> None:
    merges = plan_merges(make_files(*sizes), target_bytes=100)
    assert [len(merge.files) for merge in merges] == groups
    assert [merge.index for merge in merges] == list(range(len(groups)))
    assert {merge.count for merge in merges} <= {len(groups)}


def test_the_plan_does_not_depend_on_the_order_in_which_bundles_end() -> None:
    files = make_files(30, 80, 20, 50)
    plans = {tuple(plan_merges(order, 100)) for order in itertools.permutations(files)}
    assert len(plans) == 1


def test_every_file_is_planned_once() -> None:
    files = make_files(*range(1, 60))
    planned = [file for merge in plan_merges(files, 100) for file in merge.files]
    assert sorted(planned, key=lambda file: file.path) == files


def test_a_single_file_is_taken_as_it_is(tmp_path: pathlib.Path) -> None:
    session = begin(str(tmp_path))
    merged, staged = stage_merged(session, [5])
    assert [each.file for each in merged] == list(staged.files)
    assert len([name for name in list_output(str(tmp_path)) if "/staged-" in name]) == 1


def test_a_merged_file_holds_the_rows_of_its_files_and_its_own_checksum(
    tmp_path: pathlib.Path,
) -> None:
    session = begin(str(tmp_path))
    merged, _ = stage_merged(session, [5, 7, 1], target_bytes=10**9)
    assert len(merged) == 1
    table = pq.read_table(tmp_path / merged[0].file.path)
    assert sorted(table["image_uri"].to_pylist()) == make_uris(13)
    assert table.schema.equals(SCHEMA)
    data = (tmp_path / merged[0].file.path).read_bytes()
    assert merged[0].file.size_bytes == len(data)
    assert merged[0].file.sha256 == hashlib.sha256(data).hexdigest()


def test_merging_twice_gives_two_files_of_the_same_rows(tmp_path: pathlib.Path) -> None:
    session = begin(str(tmp_path))
    (merge,) = plan_merges(stage(session, [3, 4]).files)
    first, second = (
        merge_files(merge, session.folder, session.paths.staging),
        merge_files(merge, session.folder, session.paths.staging),
    )
    assert first.file.path != second.file.path
    assert first.file.sha256 == second.file.sha256


def test_merging_a_file_that_is_gone_is_a_publish_error(tmp_path: pathlib.Path) -> None:
    session = begin(str(tmp_path))
    (merge,) = plan_merges(stage(session, [3, 4]).files)
    (tmp_path / merge.files[1].path).unlink()
    with pytest.raises(PublishError, match="gone"):
        merge_files(merge, session.folder, session.paths.staging)
    assert len([name for name in list_output(str(tmp_path)) if name.endswith(".parquet")]) == 1


def test_merging_other_rows_than_were_counted_is_a_publish_error(tmp_path: pathlib.Path) -> None:
    session = begin(str(tmp_path))
    (merge,) = plan_merges(stage(session, [3, 4]).files)
    pq.write_table(pa.Table.from_batches([make_batch(0, 2)]), tmp_path / merge.files[0].path)
    with pytest.raises(PublishError, match="other rows than the 7 counted"):
        merge_files(merge, session.folder, session.paths.staging)


@pytest.mark.slow
def test_a_staged_file_is_compressed_compliant_and_in_bounded_row_groups(
    tmp_path: pathlib.Path,
) -> None:
    writer = make_writer(tmp_path)
    for start in range(0, 80_000, 1000):
        writer.write(make_batch(start, 1000), SCORING)
    staged = writer.close()
    assert staged is not None
    (file,) = staged.files
    metadata = pq.read_metadata(tmp_path / file.path)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert sum(group.num_rows for group in groups) == 80_000 == file.rows
    assert max(group.num_rows for group in groups) <= MAX_GROUP_ROWS
    columns = [groups[0].column(i) for i in range(groups[0].num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert "predictions.list.element.label" in {column.path_in_schema for column in columns}
    assert all(column.is_stats_set for column in columns)
    assert pq.read_schema(tmp_path / file.path).equals(SCHEMA)


def test_wide_rows_make_short_row_groups(tmp_path: pathlib.Path) -> None:
    labels = tuple(LabelScore(f"label number {i:06d}", 0.0) for i in range(2000))
    row = Prediction(
        ImageRef("a"),
        labels,
        None,
        AppliedParameters(None, "softmax", "model"),
        Execution("cpu", "float32", 1, 1.0, NOON),
        SCORING,
    )
    batch = to_record_batch([row] * 64)
    writer = make_writer(tmp_path)
    for _ in range(32):
        writer.write(batch, SCORING)
    staged = writer.close()
    assert staged is not None
    metadata = pq.read_metadata(tmp_path / staged.files[0].path)
    batches = math.ceil(MAX_GROUP_BYTES / batch.nbytes)
    assert metadata.num_row_groups == math.ceil(32 / batches) > 3


def test_a_bundle_without_rows_leaves_no_file(tmp_path: pathlib.Path) -> None:
    writer = make_writer(tmp_path)
    assert writer.close() is None
    assert not (tmp_path / "staging").exists()


def test_a_discarded_bundle_leaves_no_file(tmp_path: pathlib.Path) -> None:
    writer = make_writer(tmp_path)
    for start in range(0, 36_000, 1000):
        writer.write(make_batch(start, 1000), SCORING)
    assert len(list_output(str(tmp_path))) == 1
    writer.discard()
    assert list_output(str(tmp_path)) == []
    assert writer.close() is None


def test_a_batch_that_cannot_be_written_takes_its_file_with_it(tmp_path: pathlib.Path) -> None:
    writer = StagingWriter(open_folder("output", str(tmp_path)), "staged")
    writer.write(make_batch(0, 33_000))
    assert len(list_output(str(tmp_path))) == 1
    with pytest.raises(pa.ArrowInvalid):
        writer.write(pa.record_batch({"other": list(range(33_000))}))
    assert list_output(str(tmp_path)) == []


def test_rows_of_a_row_group_stand_in_the_order_of_their_uris(tmp_path: pathlib.Path) -> None:
    writer = make_writer(tmp_path)
    for start in (500, 0, 1500, 1000):
        writer.write(make_batch(start, 500), SCORING)
    staged = writer.close()
    assert staged is not None
    rows = pq.read_table(tmp_path / staged.files[0].path)["image_uri"].to_pylist()
    assert rows == make_uris(2000)


def test_a_bundle_of_many_rows_is_several_files(tmp_path: pathlib.Path) -> None:
    writer = make_writer(tmp_path, file_bytes=30_000)
    for start in range(0, 12_000, 500):
        writer.write(make_batch(start, 500), SCORING)
    staged = writer.close()
    assert staged is not None
    assert len(staged.files) >= 3
    assert sum(file.rows for file in staged.files) == staged.summary.rows == 12_000
    assert all(file.size_bytes < 120_000 for file in staged.files)
    assert list_output(str(tmp_path)) == sorted(file.path for file in staged.files)


def test_duckdb_reads_no_row_group_that_cannot_hold_the_image_it_looks_for(
    tmp_path: pathlib.Path,
) -> None:
    writer = make_writer(tmp_path, file_bytes=1 << 40)
    numbers = random.Random(1).sample(range(200_000), 100_000)
    batches = [numbers[first : first + 1000] for first in range(0, 100_000, 1000)]
    for batch in batches:
        rows = [make_row(f"gs://b/{number:06d}.jpg") for number in batch]
        writer.write(to_record_batch(rows), SCORING)
    staged = writer.close()
    assert staged is not None
    path = tmp_path / staged.files[0].path
    sought = f"gs://b/{numbers[70_000]:06d}.jpg"
    sql = (
        f"select bloom_filter_excludes from parquet_bloom_probe('{path}', 'image_uri', '{sought}')"
    )
    excluded = [each for (each,) in duckdb.sql(sql).fetchall()]
    assert len(excluded) == pq.read_metadata(path).num_row_groups > 3
    assert not all(excluded)
    assert sum(excluded) >= len(excluded) - 2  # one holds it; another one in a hundred is in doubt


def test_a_small_file_has_a_small_filter(tmp_path: pathlib.Path) -> None:
    writer = make_writer(tmp_path)
    writer.write(make_batch(0, 30), SCORING)
    staged = writer.close()
    assert staged is not None
    assert staged.files[0].size_bytes < 20_000
