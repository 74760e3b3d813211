"""Loads that die, come late or come together, through a running emulator."""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import bigquery

from imgcls_beam.bigquery import TableName
from imgcls_beam.errors import PublishError
from imgcls_beam.warehouse import load_run
from tests.extent import choose
from tests.staged import FUSE, RUN, Killed, make_session_id
from tests.warehouse import count_rows, list_tables, publish_run, read_files, read_rows


def test_an_earlier_session_never_takes_the_place_of_a_later_one(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    first = publish_run(str(tmp_path / "a"), [10])
    second = publish_run(str(tmp_path / "b"), [7], attempt=2)
    load_run(table, str(tmp_path / "b"), second)
    with pytest.raises(PublishError, match="the table holds a later session of it"):
        load_run(table, str(tmp_path / "a"), first)
    assert count_rows(table) == {"r1": (second.session_id, 7, 7)}


def test_only_the_expected_session_is_replaced(table: TableName, tmp_path: pathlib.Path) -> None:
    first = publish_run(str(tmp_path / "a"), [10])
    load_run(table, str(tmp_path / "a"), first)
    second = publish_run(str(tmp_path / "b"), [7], attempt=2)
    with pytest.raises(PublishError, match=f"holds session {first.session_id} of it, not ffff"):
        load_run(table, str(tmp_path / "b"), second, expected_session="ffff")
    assert count_rows(table) == {"r1": (first.session_id, 10, 10)}


def test_what_the_table_holds_is_asked_once_and_then_by_the_transaction(
    table: TableName, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_run(table, str(tmp_path / "a"), publish_run(str(tmp_path / "a"), [10]))
    second = publish_run(str(tmp_path / "b"), [7], attempt=2)
    query, asked = bigquery.Client.query, []

    def query_seen(client: bigquery.Client, sql: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(sql.split()[0])
        return query(client, sql, *args, **kwargs)

    monkeypatch.setattr(bigquery.Client, "query", query_seen)
    load_run(table, str(tmp_path / "b"), second)
    assert asked == ["SELECT", "BEGIN"]
    load_run(table, str(tmp_path / "b"), second)
    assert asked == ["SELECT", "BEGIN", "SELECT"]


def test_a_session_that_was_loaded_meanwhile_stops_the_transaction(
    table: TableName, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program loads a later session after this one asked, and before it commits."""
    first = publish_run(str(tmp_path / "a"), [10])
    second = publish_run(str(tmp_path / "b"), [7], attempt=2)
    query = bigquery.Client.query

    def query_late(client: bigquery.Client, sql: str, *args: Any, **kwargs: Any) -> Any:
        if "TRANSACTION" in sql:
            monkeypatch.setattr(bigquery.Client, "query", query)
            load_run(table, str(tmp_path / "b"), second)
        return query(client, sql, *args, **kwargs)

    monkeypatch.setattr(bigquery.Client, "query", query_late)
    with pytest.raises(PublishError, match="the table holds a later session of it"):
        load_run(table, str(tmp_path / "a"), first)
    assert count_rows(table) == {"r1": (second.session_id, 7, 7)}
    assert read_rows(table) == read_files(str(tmp_path / "b"), second)
    assert list_tables(table) == {"predictions", "prediction_runs"}


@pytest.mark.parametrize("lost", [0, 1])
def test_a_staging_table_that_lacks_rows_is_staged_again(
    table: TableName, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """A load job that is found by its id may have filled a table that expired since."""
    record = publish_run(str(tmp_path), [5])
    load, begun = bigquery.Client.load_table_from_file, []

    def load_or_lose(client: bigquery.Client, source: Any, target: str, **kwargs: Any) -> Any:
        begun.append(target)
        if len(begun) - 1 == lost:  # 0: the rows, 1: the record
            return client.query("SELECT 1")
        return load(client, source, target, **kwargs)

    monkeypatch.setattr(bigquery.Client, "load_table_from_file", load_or_lose)
    load_run(table, str(tmp_path), record)
    assert len(set(begun)) == len(begun) == 4
    assert count_rows(table) == {"r1": (record.session_id, 5, 5)}


@pytest.mark.slow
def test_programs_that_load_at_the_same_time_do_not_disturb_each_other(
    table: TableName, tmp_path: pathlib.Path
) -> None:
    """Two of them load the same run: the second one may be refused."""
    runs = [dataclasses.replace(RUN, run_id=run_id) for run_id in ("r1", "r2", "r3")]
    records = [publish_run(str(tmp_path), [5, 6], run=run) for run in runs]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        loads = [
            pool.submit(load_run, table, str(tmp_path), record) for record in (*records, records[0])
        ]
    assert [load.exception() for load in loads[1:3]] == [None, None]
    told = [load.exception() for load in (loads[0], loads[3])]
    assert None in told
    assert all(error is None or isinstance(error, PublishError) for error in told)
    assert count_rows(table) == {run.run_id: (make_session_id(1), 11, 11) for run in runs}


CALLS = ("create_table", "load_table_from_file", "query", "delete_table")


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A program that may die at any call of BigQuery's client that changes or asks something."""
    for name in CALLS:
        monkeypatch.setattr(bigquery.Client, name, make_mortal(getattr(bigquery.Client, name)))
    yield
    FUSE.set(None)


def make_mortal(call: Callable[..., Any]) -> Callable[..., Any]:
    def burning(*args: Any, **kwargs: Any) -> Any:
        return FUSE.burn(call, *args, **kwargs)

    return burning


@pytest.mark.slow
@pytest.mark.usefixtures("mortal")
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", [4, pytest.param(choose(1, 3), marks=pytest.mark.long(minutes=1))])
def test_a_load_that_died_anywhere_goes_on_where_it_was(
    table: TableName, tmp_path: pathlib.Path, after: bool, step: int
) -> None:
    """Old rows or new ones stand at every moment, and the new ones in the end.

    It dies at each call of the client, at every third, or at every fourth.
    """
    old = {"r1": (f"{0:032x}", 10, 10)}
    deaths, died = 0, True
    while died:
        run = dataclasses.replace(RUN, run_id=f"r{deaths}")
        output = str(tmp_path / run.run_id)
        first = publish_run(output, [10], attempt=1, run=run)
        load_run(table, output, first)
        second = publish_run(output, [6, 8], attempt=2, run=run, base=first)
        old, new = (first.session_id, 10, 10), (second.session_id, 14, 14)
        FUSE.set(deaths, after=after)
        try:
            load_run(table, output, second)
            died = False
        except Killed:
            deaths += step
        FUSE.set(None)
        assert count_rows(table)[run.run_id] in ((old, new) if died else (new,))
        load_run(table, output, second)
        assert count_rows(table)[run.run_id] == new
    assert deaths >= 10  # each call of the client but the answer to the last
    assert set(list_tables(table)) == {"predictions", "prediction_runs"}
