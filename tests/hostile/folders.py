"""A folder of everything that is hostile, among good images."""

import itertools
import pathlib
import random
from collections.abc import Iterator

from imgcls_beam.preparing.formats import FORMATS
from tests import pictures
from tests.hostile import FILES, LARGE
from tests.hostile.mutants import SEEDS, mutate
from tests.scenes import draw_photo, encode

FRONTS = (b"%PDF-1.4\n", b"<html><body>", b"PK\3\4", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"8BPS\0\1")


def write_hostile(folder: pathlib.Path, mutants: int, size_bytes: int, *, is_long: bool) -> int:
    """Writes bombs, polyglots, mutants of each seed and good images, in a mixed order.

    Args:
        folder: is made.
        mutants: of each seed.
        size_bytes: about how many a bomb has.
        is_long: with the bombs that take long to make.

    Returns:
        How many files there are.
    """
    folder.mkdir()
    files = [*_list_bombs(size_bytes, is_long=is_long), *_list_polyglots(), *_list_mutants(mutants)]
    files += [(f"good {i}", encode(draw_photo(i, (80, 60)), "JPEG")) for i in range(40)]
    random.Random(1).shuffle(files)
    for index, (name, data) in enumerate(files):
        (folder / f"{index:05} {name.replace('/', ' ')}.jpg").write_bytes(data)
    return len(files)


def _list_bombs(size_bytes: int, *, is_long: bool) -> Iterator[tuple[str, bytes]]:
    for name, make in FILES.items():
        if is_long or name not in LARGE:
            yield f"bomb {name}", make(size_bytes)


def _list_polyglots() -> Iterator[tuple[str, bytes]]:
    plain = {name: pictures.encode(pictures.draw_picture(), name) for name in FORMATS}
    for first, second in itertools.permutations(plain, 2):
        yield f"polyglot {first} {second}", plain[first] + plain[second]
    for front, (name, data) in itertools.product(FRONTS, plain.items()):
        yield f"polyglot {front[:3].hex()} {name}", front + data


def _list_mutants(count: int) -> Iterator[tuple[str, bytes]]:
    for seed, data in SEEDS.items():
        source = random.Random(f"job {seed}")
        for index in range(count):
            yield f"mutant {seed} {index}", mutate(data, source)
