"""Small files made to cost much: each is a row with a closed code, for little work and memory."""

import concurrent.futures
import itertools
import sys
import warnings
from collections.abc import Iterator

import pytest
from PIL import Image

from imgcls_beam.byte_budget import ByteBudget
from imgcls_beam.elements import ImageFacts
from imgcls_beam.errors import STAGE_OF, FailureCode, Stage
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import prepare
from imgcls_beam.preparing.decode import DecodedImage, UndecodedImage, try_decode
from imgcls_beam.preparing.decode_memory import DECODING_BYTES
from imgcls_beam.preparing.formats import FORMATS
from tests import pictures
from tests.hostile import FILES, LARGE

SMALL = DecodeOptions(max_pixels=1 << 20)
SMALL_BYTES = 64 << 10
MAX_CALLS = 800_000
"""Of Python and of C, for a file of so many bytes: 8,192 tiles of a pixel take 400,000."""
LONG_BYTES = 64 << 20
MAX_LONG_CALLS = 30_000_000
PICTURE = pictures.draw_picture()
SEEDS = {name: pictures.encode(PICTURE, name) for name in FORMATS}

Row = tuple[FailureCode | None, str, ImageFacts]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _decode(data: bytes, options: DecodeOptions) -> Row:
    outcome = try_decode(data, options)
    if isinstance(outcome, UndecodedImage):
        return outcome.error.code, outcome.error.message, outcome.facts
    return None, "", outcome.facts


def _count_calls(data: bytes, options: DecodeOptions) -> tuple[Row, int, int]:
    """The row, the calls that it took, and the most memory that was asked for."""
    calls, asked = itertools.count(), [0]
    sys.setprofile(lambda frame, event, of: next(calls) and None)
    try:
        outcome = try_decode(data, options, asked.append)
    finally:
        sys.setprofile(None)
    error = outcome.error if isinstance(outcome, UndecodedImage) else None
    row = (error.code, error.message, outcome.facts) if error else (None, "", outcome.facts)
    return row, next(calls), max(asked)


@pytest.mark.parametrize("name", [name for name in FILES if name not in LARGE])
def test_a_file_costs_its_row_and_little_work(name: str) -> None:
    data = FILES[name](SMALL_BYTES)
    row, calls, _ = _count_calls(data, SMALL)
    assert calls < MAX_CALLS
    assert row == _decode(data, SMALL)
    assert row[0] is None or STAGE_OF[row[0]] is Stage.PREPARE


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_largest_size_does_not_cost_more(name: str) -> None:
    data = FILES[name](LONG_BYTES)
    row, calls, asked_bytes = _count_calls(data, DecodeOptions())
    assert calls < MAX_LONG_CALLS
    assert asked_bytes < DECODING_BYTES * 1.5
    assert row[0] is None or STAGE_OF[row[0]] is Stage.PREPARE


def test_there_are_many_kinds() -> None:
    assert len(FILES) >= 150
    assert set(LARGE) <= set(FILES)


@pytest.mark.parametrize(("first", "second"), itertools.permutations(SEEDS, 2))
def test_a_polyglot_is_what_its_first_bytes_say(first: str, second: str) -> None:
    data = SEEDS[first] + SEEDS[second]
    outcome = try_decode(data, DecodeOptions())
    assert outcome.facts.format == first
    if isinstance(outcome, DecodedImage):
        alone = pictures.decode(SEEDS[first])
        assert outcome.image.tobytes() == alone.image.tobytes()
    assert _decode(data, SMALL) == _decode(data, SMALL)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"%PDF-1.4\n", FailureCode.NOT_AN_IMAGE),
        (b"<html><body>", FailureCode.NOT_AN_IMAGE),
        (b"PK\3\4", FailureCode.NOT_AN_IMAGE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", FailureCode.UNSUPPORTED),
        (b"8BPS\0\1", FailureCode.UNSUPPORTED),
    ],
)
@pytest.mark.parametrize("name", SEEDS)
def test_an_image_behind_something_else_is_not_looked_for(
    head: bytes, code: FailureCode, name: str
) -> None:
    assert _decode(head + SEEDS[name], DecodeOptions())[0] is code


def test_no_image_is_opened_by_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Pillow chooses among all its formats")

    for name in ("open", "init", "preinit"):
        monkeypatch.setattr(Image, name, refuse)
    for data in SEEDS.values():
        assert isinstance(try_decode(data, DecodeOptions()), DecodedImage)


def test_threads_that_decode_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight images at once no more are in memory than the budget has room for."""
    budget = ByteBudget(150 << 20)
    monkeypatch.setattr(prepare, "_DECODING", budget)
    data = pictures.webp_lossless_of((2048, 2048))
    lent_bytes: list[int] = []

    def decode(_: int) -> None:
        with prepare.lend_memory() as turn:

            def wait(size_bytes: int) -> None:
                prepare.wait_if_large(turn, size_bytes)
                lent_bytes.append(budget.lent_bytes)

            try_decode(data, DecodeOptions(), wait)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, range(8)))
    assert 64 << 20 <= max(lent_bytes) <= budget.limit_bytes
    assert budget.lent_bytes == 0
