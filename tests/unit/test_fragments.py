import itertools
import math
import pathlib
import random

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import AppliedParameters, Execution, Failure, ImageRef, Prediction
from imgcls_beam.errors import FailureCode, PublishError, Stage
from imgcls_beam.rows import SCHEMA, to_record_batch
from imgcls_beam.sinks import store
from imgcls_beam.sinks.fragments import (
    MAX_GROUP_BYTES,
    MAX_GROUP_ROWS,
    FragmentWriter,
    StagedFile,
    StagingWriter,
)
from imgcls_beam.sinks.parts import merge_part, plan_parts
from imgcls_beam.spec import LabelScore
from tests.staged import (
    NOON,
    SCORING,
    list_output,
    make_batch,
    make_layout,
    make_uris,
    stage,
    stage_parts,
)


def make_row(uri: str) -> Failure:
    return Failure(
        ImageRef(uri), Stage.READ, FailureCode.NOT_FOUND, "gone", failed_at=NOON, scoring=SCORING
    )


def make_files(*sizes: int) -> list[StagedFile]:
    return [StagedFile(f"f{i:03d}", 10, size, "00") for i, size in enumerate(sizes)]


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
def test_parts_are_of_about_the_target_size(sizes: list[int], groups: list[int]) -> None:
    parts = plan_parts(make_files(*sizes), target_bytes=100)
    assert [len(part.files) for part in parts] == groups
    assert [part.index for part in parts] == list(range(len(groups)))
    assert {part.count for part in parts} <= {len(groups)}


def test_the_plan_does_not_depend_on_the_order_in_which_bundles_end() -> None:
    files = make_files(30, 80, 20, 50)
    plans = {tuple(plan_parts(order, 100)) for order in itertools.permutations(files)}
    assert len(plans) == 1


def test_every_file_is_planned_once() -> None:
    files = make_files(*range(1, 60))
    planned = [file for part in plan_parts(files, 100) for file in part.files]
    assert sorted(planned, key=lambda file: file.path) == files


def test_a_part_of_one_file_is_that_file(tmp_path: pathlib.Path) -> None:
    layout = make_layout(str(tmp_path))
    parts, fragments = stage_parts(layout, [5])
    assert [part.file for part in parts] == list(fragments.files)
    assert len(list_output(str(tmp_path))) == 1


def test_a_merged_part_holds_the_rows_of_its_files_and_its_own_checksum(
    tmp_path: pathlib.Path,
) -> None:
    layout = make_layout(str(tmp_path))
    parts, _ = stage_parts(layout, [5, 7, 1], target_bytes=10**9)
    assert len(parts) == 1
    table = pq.read_table(parts[0].file.path)
    assert sorted(table["image_uri"].to_pylist()) == make_uris(13)
    assert table.schema.equals(SCHEMA)
    data = pathlib.Path(parts[0].file.path).read_bytes()
    assert parts[0].file.size_bytes == len(data)
    assert parts[0].file.sha256 == store.hash_file(parts[0].file.path)


def test_merging_twice_gives_two_files_of_the_same_rows(tmp_path: pathlib.Path) -> None:
    layout = make_layout(str(tmp_path))
    (part,) = plan_parts(stage(layout, [3, 4]).files)
    first, second = merge_part(part, layout.staging), merge_part(part, layout.staging)
    assert first.file.path != second.file.path
    assert first.file.sha256 == second.file.sha256


def test_merging_a_file_that_is_gone_is_a_publish_error(tmp_path: pathlib.Path) -> None:
    layout = make_layout(str(tmp_path))
    (part,) = plan_parts(stage(layout, [3, 4]).files)
    pathlib.Path(part.files[1].path).unlink()
    with pytest.raises(PublishError, match="gone"):
        merge_part(part, layout.staging)
    assert len(list_output(str(tmp_path))) == 1


def test_merging_other_rows_than_were_counted_is_a_publish_error(tmp_path: pathlib.Path) -> None:
    layout = make_layout(str(tmp_path))
    (part,) = plan_parts(stage(layout, [3, 4]).files)
    pq.write_table(pa.Table.from_batches([make_batch(0, 2)]), part.files[0].path)
    with pytest.raises(PublishError, match="other rows than the 7 counted"):
        merge_part(part, layout.staging)


def test_a_fragment_is_compressed_compliant_and_in_bounded_row_groups(
    tmp_path: pathlib.Path,
) -> None:
    writer = FragmentWriter(str(tmp_path))
    for start in range(0, 80_000, 1000):
        writer.write(make_batch(start, 1000))
    fragments = writer.close()
    assert fragments is not None
    (file,) = fragments.files
    metadata = pq.read_metadata(file.path)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert sum(group.num_rows for group in groups) == 80_000 == file.rows
    assert max(group.num_rows for group in groups) <= MAX_GROUP_ROWS
    columns = [groups[0].column(i) for i in range(groups[0].num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert "predictions.list.element.label" in {column.path_in_schema for column in columns}
    assert all(column.is_stats_set for column in columns)
    assert pq.read_schema(file.path).equals(SCHEMA)


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
    writer = FragmentWriter(str(tmp_path))
    for _ in range(32):
        writer.write(batch)
    fragments = writer.close()
    assert fragments is not None
    metadata = pq.read_metadata(fragments.files[0].path)
    batches = math.ceil(MAX_GROUP_BYTES / batch.nbytes)
    assert metadata.num_row_groups == math.ceil(32 / batches) > 3


def test_a_bundle_without_rows_leaves_no_file(tmp_path: pathlib.Path) -> None:
    writer = FragmentWriter(str(tmp_path / "staging"))
    assert writer.close() is None
    assert not (tmp_path / "staging").exists()


def test_a_discarded_fragment_leaves_no_file(tmp_path: pathlib.Path) -> None:
    writer = FragmentWriter(str(tmp_path))
    for start in range(0, 36_000, 1000):
        writer.write(make_batch(start, 1000))
    assert len(list_output(str(tmp_path))) == 1
    writer.discard()
    assert list_output(str(tmp_path)) == []
    assert writer.close() is None


def test_a_batch_that_cannot_be_written_takes_its_file_with_it(tmp_path: pathlib.Path) -> None:
    writer = StagingWriter(str(tmp_path), "fragment")
    writer.write(make_batch(0, 33_000))
    assert len(list_output(str(tmp_path))) == 1
    with pytest.raises(pa.ArrowInvalid):
        writer.write(pa.record_batch({"other": list(range(33_000))}))
    assert list_output(str(tmp_path)) == []


def test_rows_of_a_row_group_stand_in_the_order_of_their_uris(tmp_path: pathlib.Path) -> None:
    writer = FragmentWriter(str(tmp_path))
    for start in (500, 0, 1500, 1000):
        writer.write(make_batch(start, 500))
    fragments = writer.close()
    assert fragments is not None
    rows = pq.read_table(fragments.files[0].path)["image_uri"].to_pylist()
    assert rows == make_uris(2000)


def test_a_bundle_of_many_rows_is_several_files(tmp_path: pathlib.Path) -> None:
    writer = FragmentWriter(str(tmp_path), file_bytes=30_000)
    for start in range(0, 12_000, 500):
        writer.write(make_batch(start, 500))
    fragments = writer.close()
    assert fragments is not None
    assert len(fragments.files) >= 3
    assert sum(file.rows for file in fragments.files) == fragments.summary.rows == 12_000
    assert all(file.size_bytes < 120_000 for file in fragments.files)
    assert list_output(str(tmp_path)) == sorted(
        file.path.rpartition("/")[2] for file in fragments.files
    )


def test_duckdb_reads_no_row_group_that_cannot_hold_the_image_it_looks_for(
    tmp_path: pathlib.Path,
) -> None:
    writer = FragmentWriter(str(tmp_path), file_bytes=1 << 40)
    numbers = random.Random(1).sample(range(200_000), 100_000)
    batches = [numbers[first : first + 1000] for first in range(0, 100_000, 1000)]
    for batch in batches:
        rows = [make_row(f"gs://b/{number:06d}.jpg") for number in batch]
        writer.write(to_record_batch(rows))
    fragments = writer.close()
    assert fragments is not None
    path = fragments.files[0].path
    sought = f"gs://b/{numbers[70_000]:06d}.jpg"
    sql = (
        f"select bloom_filter_excludes from parquet_bloom_probe('{path}', 'image_uri', '{sought}')"
    )
    excluded = [each for (each,) in duckdb.sql(sql).fetchall()]
    assert len(excluded) == pq.read_metadata(path).num_row_groups > 3
    assert not all(excluded)
    assert sum(excluded) >= len(excluded) - 2  # one holds it; another one in a hundred is in doubt


def test_a_small_file_has_a_small_filter(tmp_path: pathlib.Path) -> None:
    writer = FragmentWriter(str(tmp_path))
    writer.write(make_batch(0, 30))
    fragments = writer.close()
    assert fragments is not None
    assert fragments.files[0].size_bytes < 20_000
