import dataclasses
import datetime
import itertools
import pathlib
from collections.abc import Callable, Iterator

import pytest

from imgcls_beam.sinks import store
from imgcls_beam.sinks.attempts import clear_attempt
from imgcls_beam.sinks.layout import join
from imgcls_beam.sinks.publishing import publish
from imgcls_beam.sinks.record import RunRecord, read_record
from tests.staged import (
    FUSE,
    RUN,
    Killed,
    check_committed,
    empty_stores,
    list_output,
    make_layout,
    make_publication,
    make_uris,
    read_uris,
    stage_parts,
)

pytestmark = pytest.mark.slow


@pytest.fixture(params=["mortal", "mortalbucket"])
def output(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty output folder on each kind of store."""
    empty_stores()
    yield f"{request.param}://{tmp_path}/out"
    empty_stores()


def publish_until_killed(
    output: str, operation: int, *, after: bool
) -> tuple[Callable[[], RunRecord], bool]:
    """Publishes three parts and dies at one operation; gives the retry, and whether it died."""
    layout = make_layout(output)
    parts, fragments = stage_parts(layout, [3, 4, 5])
    FUSE.set(operation, after=after)
    killed = False
    try:
        publish(parts, fragments, 12, make_publication(layout))
    except Killed:
        killed = True
    FUSE.set(None)
    return lambda: publish(parts, fragments, 12, make_publication(layout)), killed


def walk_through_deaths(output: str, after: bool) -> Iterator[tuple[str, Callable[[], RunRecord]]]:
    """Every operation at which publishing can die, each in a folder of its own."""
    for operation in itertools.count():
        place = f"{output}/{operation}"
        retry, killed = publish_until_killed(place, operation, after=after)
        if not killed:
            assert operation > 10  # or the fuse was in no operation that counts
            return
        yield place, retry


@pytest.mark.parametrize("after", [False, True])
def test_a_publish_killed_anywhere_and_retried_ends_as_if_undisturbed(
    output: str, after: bool
) -> None:
    for place, retry in walk_through_deaths(output, after):
        check_committed(place, retry(), 12)


@pytest.mark.parametrize("after", [False, True])
def test_a_record_never_stands_before_its_files_do(output: str, after: bool) -> None:
    for place, _ in walk_through_deaths(output, after):
        if store.find_size(join(place, "runs", "r1.json")) is not None:
            record = read_record(join(place, "runs", "r1.json"))
            assert read_uris(place) == make_uris(12)
            assert [store.hash_file(join(place, f.path)) for f in record.files] == [
                file.sha256 for file in record.files
            ]


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("days", "sizes"), [(0, [5, 4]), (1, [5, 4]), (0, [6, 2, 1])])
def test_another_attempt_after_a_death_leaves_its_own_rows_and_only_they(
    output: str, after: bool, days: int, sizes: list[int]
) -> None:
    for place, _ in walk_through_deaths(output, after):
        if store.find_size(join(place, "runs", "r1.json")) is not None:
            continue  # it was committed before it died
        run_date = RUN.run_date + datetime.timedelta(days=days)
        layout = dataclasses.replace(make_layout(place, attempt=2), run_date=run_date)
        parts, fragments = stage_parts(layout, sizes)
        record = publish(parts, fragments, 9, make_publication(layout))
        check_committed(place, record, 9)


@pytest.mark.parametrize("after", [False, True])
def test_clearing_a_killed_attempt_takes_back_what_was_not_committed(
    output: str, after: bool
) -> None:
    for place, _ in walk_through_deaths(output, after):
        committed = store.find_size(join(place, "runs", "r1.json")) is not None
        clear_attempt(make_layout(place))
        assert read_uris(place) == (make_uris(12) if committed else [])
        assert not [name for name in list_output(place) if name.startswith("_staging")]
