"""The rows that a person sees at the end of a run."""

import pathlib
from collections.abc import Sequence

import pytest

from imgcls_beam.sinks import RunRecord
from imgcls_beam.sinks.merging import merge_files, plan_session
from pipelines.samples import find_first_errors, read_some_rows
from tests.staged import begin, commit, stage_from


def publish(output: pathlib.Path, spans: Sequence[tuple[int, int]]) -> RunRecord:
    """A run of images by (first image, images); every fourth failed."""
    session = begin(str(output))
    staged = stage_from(session, spans)
    merged = [
        merge_files(each, session.folder, session.paths.staging)
        for each in plan_session(staged, session)
    ]
    assert len(merged) == 1
    return commit(merged, staged, sum(count for _, count in spans), session)


@pytest.mark.parametrize(
    ("spans", "ok", "error"),
    [
        ([(0, 4)], 3, 1),
        ([(0, 100)], 7, 3),
        ([(0, 9)] * 2, 6, 3),
        ([(0, 50), (25, 50), (0, 100)], 7, 3),
    ],
    ids=["few", "many", "named twice", "named again"],
)
def test_some_good_rows_and_some_failures_are_shown_and_no_image_twice(
    spans: Sequence[tuple[int, int]], ok: int, error: int, tmp_path: pathlib.Path
) -> None:
    """Lines of a manifest that carry other values may name an image again."""
    rows = read_some_rows(publish(tmp_path / "out", spans), str(tmp_path / "out"))
    assert [row["status"] for row in rows] == ["ok"] * ok + ["error"] * error
    uris = [row["image_uri"] for row in rows]
    assert len(set(uris)) == len(uris)
    assert uris[:ok] == sorted(uris[:ok])
    assert uris[ok:] == sorted(uris[ok:])


def test_what_is_shown_comes_from_all_over_the_rows(tmp_path: pathlib.Path) -> None:
    rows = read_some_rows(publish(tmp_path / "out", [(0, 100)]), str(tmp_path / "out"))
    images = [int(row["image_uri"].rpartition("/")[2]) for row in rows]
    assert images[0] < 10 and images[6] > 80
    assert images[7] < 10 and images[9] > 60


def test_each_error_is_shown_by_its_first_image(tmp_path: pathlib.Path) -> None:
    record = publish(tmp_path / "out", [(1, 50)])
    first = find_first_errors(record, str(tmp_path / "out"))
    assert first == {("read", "not_found"): "gs://b/000004"}
