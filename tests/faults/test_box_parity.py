"""In the decode box every image is what it is in this process: pixels, facts and failures."""

import random

import pytest

from imgcls_beam.errors import FailureCode
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import Geometry
from tests import pictures
from tests.boxes import CROPPED, SMALL, WHOLE, prepare_both_ways
from tests.edges import DAMAGE, FORMATS, NO_IMAGES, ORIENTATION, SIZES
from tests.edges.case import EdgeCase
from tests.faults.test_fast_preparation import JPEGS
from tests.faults.test_hostile_images import BOMBS, mutate

CASES = (*FORMATS, *NO_IMAGES, *DAMAGE, *ORIENTATION, *SIZES)
SLOW = pytest.mark.slow
MODES = (
    pytest.param((SMALL, None, CROPPED, SMALL), DecodeOptions(), id="exact"),
    pytest.param((SMALL, CROPPED), DecodeOptions(preprocess="fast"), id="fast", marks=SLOW),
    pytest.param((WHOLE, None), DecodeOptions(preprocess="fast"), id="whole", marks=SLOW),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("geometries", "options"), MODES)  # of one case all at once
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_odd_image_is_the_same(
    case: EdgeCase, geometries: tuple[Geometry | None, ...], options: DecodeOptions
) -> None:
    limits = case.options.get("decode", DecodeOptions())
    options = DecodeOptions(limits.max_pixels, limits.max_scans, options.preprocess)
    boxed, plain = prepare_both_ways(case.data, geometries, options)
    assert boxed == plain


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_the_same(bomb: str) -> None:
    boxed, plain = prepare_both_ways(BOMBS[bomb][0](), (SMALL,), DecodeOptions())
    assert boxed == plain


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", JPEGS)
def test_a_damaged_jpeg_is_the_same(kind: str) -> None:
    random_source = random.Random(kind)
    for _ in range(20):
        data = mutate(JPEGS[kind], random_source)
        boxed, plain = prepare_both_ways(data, (SMALL,), DecodeOptions(max_pixels=1 << 20))
        assert boxed == plain


@SLOW
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_large_image_is_the_same(kind: str) -> None:
    """Beyond `LARGE_BYTES`: it has to wait for its turn, and needs more memory than there was."""
    data = pictures.encode(pictures.draw_picture((4200, 3100)), kind)
    boxed, plain = prepare_both_ways(data, (SMALL, WHOLE), DecodeOptions())
    assert boxed == plain
    assert FailureCode.CRASHED not in str(boxed)[:80]
