import dataclasses
import datetime
import itertools
import pathlib
from collections.abc import Callable, Iterator

import pytest

from imgcls_beam.sinks import Session, abandon_session
from imgcls_beam.sinks.record import RunRecord, read_record
from imgcls_beam.stores import join_url
from tests import by_url
from tests.staged import (
    FUSE,
    RUN,
    Killed,
    begin,
    check_committed,
    commit,
    empty_stores,
    list_output,
    make_uris,
    read_uris,
    stage_merged,
)

pytestmark = pytest.mark.slow


@pytest.fixture(params=["mortal", "mortalbucket"])
def output(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty output folder on each kind of store."""
    empty_stores()
    yield f"{request.param}://{tmp_path}/out"
    empty_stores()


def commit_until_killed(
    output: str, operation: int, *, after: bool
) -> tuple[Session, Callable[[], RunRecord], bool]:
    """Dies at one operation of a commit; gives the session, the retry, and whether it died."""
    session = begin(output)
    merged, staged = stage_merged(session, [3, 4, 5])
    FUSE.set(operation, after=after)
    killed = False
    try:
        commit(merged, staged, 12, session)
    except Killed:
        killed = True
    FUSE.set(None)
    return session, lambda: commit(merged, staged, 12, session), killed


def walk_through_deaths(
    output: str, after: bool
) -> Iterator[tuple[str, Session, Callable[[], RunRecord]]]:
    """Every operation at which a commit can die, each in a folder of its own."""
    for operation in itertools.count():
        place = f"{output}/{operation}"
        session, retry, killed = commit_until_killed(place, operation, after=after)
        if not killed:
            assert operation > 10  # or the fuse was in no operation that counts
            return
        yield place, session, retry


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_killed_anywhere_and_retried_ends_as_if_undisturbed(
    output: str, after: bool
) -> None:
    for place, _, retry in walk_through_deaths(output, after):
        check_committed(place, retry(), 12)


@pytest.mark.parametrize("after", [False, True])
def test_a_record_never_stands_before_its_files_do(output: str, after: bool) -> None:
    for place, _, _ in walk_through_deaths(output, after):
        if by_url.find_size(join_url(place, "runs", "r1.json")) is not None:
            record = read_record(join_url(place, "runs", "r1.json"))
            assert read_uris(place) == make_uris(12)
            assert [by_url.hash_file(join_url(place, f.path)) for f in record.files] == [
                file.sha256 for file in record.files
            ]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("days", "sizes"),
    [
        (0, [5, 4]),
        pytest.param(1, [5, 4], marks=pytest.mark.long),
        pytest.param(0, [6, 2, 1], marks=pytest.mark.long),
    ],
)
def test_another_session_after_a_death_leaves_its_own_rows_and_only_they(
    output: str, after: bool, days: int, sizes: list[int]
) -> None:
    for place, _, _ in walk_through_deaths(output, after):
        if by_url.find_size(join_url(place, "runs", "r1.json")) is not None:
            continue  # it was committed before it died
        run_date = RUN.run_date + datetime.timedelta(days=days)
        session = begin(place, 2, dataclasses.replace(RUN, run_date=run_date))
        merged, staged = stage_merged(session, sizes)
        record = commit(merged, staged, 9, session)
        check_committed(place, record, 9)


@pytest.mark.parametrize("after", [False, True])
def test_abandoning_a_killed_session_takes_back_what_was_not_committed(
    output: str, after: bool
) -> None:
    for place, session, _ in walk_through_deaths(output, after):
        committed = by_url.find_size(join_url(place, "runs", "r1.json")) is not None
        abandon_session(session)
        assert read_uris(place) == (make_uris(12) if committed else [])
        assert not [name for name in list_output(place) if name.startswith("_staging")]
