"""Lines of requests in the order of their numbers, in bounded memory."""

import random

import pytest

from imgcls_beam.sinks import line_order
from imgcls_beam.sinks.line_order import sort_lines


def make_line(uri: str, request_id: str = "7") -> bytes:
    return f'{{"id": "{request_id}", "image_uri": "{uri}", "response": []}}\n'.encode()


NUMBERED = [make_line(f"s3://{name}.jsonl::{number}") for name in "ab" for number in range(1, 80)]
OTHERS = [make_line(f"gs://b/{name}.jpg") for name in ("z", "a", "m::n", "::4", "k::2x")]


def shuffle(lines: list[bytes], seed: int) -> list[bytes]:
    return random.Random(seed).sample(lines, len(lines))


@pytest.mark.parametrize("sorted_bytes", [1, 500, 1 << 20])
@pytest.mark.parametrize("seed", [0, 1])
def test_lines_of_requests_are_in_order_however_much_fits_into_memory(
    seed: int, sorted_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_order, "_OPEN_FILES", 5)
    assert list(sort_lines(shuffle(NUMBERED, seed), sorted_bytes)) == NUMBERED


@pytest.mark.parametrize("sorted_bytes", [200, 1 << 20])
def test_other_lines_come_first_and_keep_their_order(sorted_bytes: int) -> None:
    mixed = [*NUMBERED[3:1:-1], *OTHERS, *NUMBERED[1::-1]]
    assert list(sort_lines(mixed, sorted_bytes)) == [*OTHERS, *NUMBERED[:4]]


def test_equal_numbers_keep_their_order() -> None:
    lines = [make_line("a.jsonl::1", request_id) for request_id in ("b", "c", "a")]
    assert list(sort_lines(lines, 50)) == lines


def test_an_id_and_a_label_that_look_like_a_place_are_none() -> None:
    trap = r"\"image_uri\": \"z::1\""
    first, second = make_line("a.jsonl::1", trap), make_line(r"a\"b\\.jsonl::2", trap)
    label = b'{"image_uri": "b", "response": [{"label": "\\"image_uri\\": \\"z::9\\""}]}\n'
    assert list(sort_lines([second, first, label])) == [label, first, second]
