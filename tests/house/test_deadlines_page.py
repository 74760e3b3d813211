"""docs/operations.md has the deadlines and the retries of stores, as the code has them."""

import dataclasses
import inspect
import itertools
import pathlib
import re
import types

import pytest

from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import breaker, ranges, store_health
from imgcls_beam.reading.ranges import Asking
from imgcls_beam.reading.store_health import STORE_HEALTH
from imgcls_beam.stores import gcs_client, patience
from imgcls_beam.stores.patience import Patience
from pipelines import job_services

ROOT = pathlib.Path(__file__).parents[2]
_PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_SECTION = _PAGE.partition("## Deadlines and retries\n")[2].partition("\n## ")[0]
_ROWS = {
    limit: (images, others)
    for limit, images, others in re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", _SECTION, re.MULTILINE
    )
}
_IMAGES, _OTHERS = ReadOptions(), Patience()
_RATE = f"at {patience.BYTES_PER_S >> 10} KiB/s"


def test_each_deadline_is_the_codes() -> None:
    request_s = _IMAGES.timeout_s + _OTHERS.connect_s
    first_s, *_, next_s, last_s = ranges._FIRST_SILENCES_S
    assert (*(first_s,) * 4, *(next_s,) * 3, last_s) == ranges._FIRST_SILENCES_S
    for row, images, others in (
        ("until a connection is there", f"{_OTHERS.connect_s:g} s", f"{_OTHERS.connect_s:g} s"),
        (
            "silence: no byte of an answer",
            f"{_IMAGES.timeout_s:g} s (`--read_timeout_s`); of a bucket that answers others at "
            f"once {first_s:g} s at the first four tries, {next_s:g} s at "
            f"the next three, {last_s:g} s at the eighth",
            f"{_OTHERS.silence_s:g} s (`{patience._SILENCE_VARIABLE}`)",
        ),
        (
            "a whole request",
            f"{request_s:g} s, and what the bytes of its batch take {_RATE}",
            f"{_OTHERS.request_s:g} s, and what its bytes take {_RATE}",
        ),
        (
            "tries",
            f"{_IMAGES.tries}, none later than {_IMAGES.retry_s:g} s after the first",
            f"as many as there is time for: none later than {_OTHERS.retry_s:g} s after the first",
        ),
    ):
        assert _ROWS[row] == (images, others), row


def test_waits_and_retries_are_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: 1.0)
    waits = list(patience.iterate_waits(_IMAGES.tries, _IMAGES.first_wait_s, _IMAGES.retry_s))
    distinct = [f"{each:g} s" for each, _ in itertools.groupby(waits)]
    first, last = ", ".join(distinct[:-1]), distinct[-1]
    others = f"{first}, then {last}, each ± half"
    most = f"{patience._BRIEF_WAIT_S:g} s at most, seven times"
    brief = f"; while the store answers others at once {most}"
    assert _ROWS["waits between them"] == (others + brief, others)
    assert patience._BRIEF_WAITS == 7
    assert _IMAGES.first_wait_s == _OTHERS.first_wait_s
    most, each_s = patience._MOST_RETRIES, patience._RETRIES_PER_S
    retries = f"as many as there were answers, and {most} beside; {each_s:g} more each second"
    assert _ROWS["retries of a process"] == (retries, "the same, counted apart")
    token, _ = _ROWS["a token of Google's"]
    assert token.startswith(f"{gcs_client._TOKEN_S:g} s,")


def test_when_a_store_answers_others_at_once_is_the_codes() -> None:
    said = (
        "at least a third of what a process asked it lately was answered within "
        f"{store_health.PROMPT_S:g} s and what its bytes take at 128 KiB/s, in a mean of which "
        "each request is a sixteenth"
    )
    assert said in " ".join(_SECTION.split())
    assert (store_health._PROMPT_RATIO, store_health._WEIGHT) == (1 / 3, 1 / 16)


@pytest.mark.parametrize("jitter", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("answers", [0, 16, 64])
def test_an_object_that_stays_silent_is_a_row_in_time(
    answers: int, jitter: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that its tries and its waits move, each connection in the last moment."""
    clock = types.SimpleNamespace(now_s=0.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr(patience, "time", clock)
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: jitter)
    uri = "s3://photos/a.jpg"
    for _ in range(answers):
        STORE_HEALTH.note(uri, is_prompt=True)

    def stay_silent(tries: int) -> None:
        with dataclasses.replace(Asking.alone(_IMAGES), tries=tries).bear_silence(uri):
            silence_s = Patience(silence_s=_IMAGES.timeout_s).find_silence_s()
        clock.now_s += _OTHERS.connect_s + silence_s
        STORE_HEALTH.note(uri, is_prompt=False)

    stay_silent(1)
    waits = patience.iterate_waits(
        *(_IMAGES.tries, _IMAGES.first_wait_s, _IMAGES.retry_s),
        lambda: STORE_HEALTH.is_prompt(uri),
    )
    for tries, wait_s in enumerate(waits, start=2):
        clock.now_s += wait_s
        stay_silent(tries)
    said = re.search(r"a row after (\d+) to (\d+) s", _SECTION)
    assert said is not None
    assert clock.now_s <= float(said[2])


def test_how_long_a_shorter_silence_is_retried_is_the_codes() -> None:
    assert patience._RETRIED_SILENCES == 4
    said = (
        f"makes the {_OTHERS.retry_s:g} s shorter: four times as long as it says, "
        f"{patience._LEAST_RETRY_S:g} s at least"
    )
    assert said in " ".join(_SECTION.split())
    assert f"a run waits for {_OTHERS.retry_s:g} s for a store" in _SECTION


def test_when_a_store_is_gone_is_the_codes() -> None:
    assert f"none of the last {breaker._IMAGES} images" in _SECTION
    assert f"for {breaker._GONE_S:g} s, the run ends" in _SECTION
    assert f"are read {breaker._PAUSE_S:g} s apart" in _SECTION
    assert breaker._OBJECTS == 4
    assert "Images of fewer than four archives do not end it" in _SECTION
    worst_s = _IMAGES.retry_s + _IMAGES.timeout_s + _OTHERS.connect_s
    said = re.search(r"a row after (\d+) to (\d+) s", _SECTION)
    assert said is not None
    assert _IMAGES.retry_s < float(said[1]) < worst_s < float(said[2]) + 1 < 60


def test_how_long_a_job_service_is_waited_for_is_the_codes() -> None:
    limit_s = inspect.signature(job_services.check_endpoint).parameters["limit_s"].default
    assert f"one that does not answer within {limit_s:g} s, or is no job service" in _PAGE
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert f"`no job service has answered there for {limit_s:g} s`" in page
