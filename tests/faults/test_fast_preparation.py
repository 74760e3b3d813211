"""Under `preprocess=fast` every image has the facts, and the failure, that it has under `exact`."""

import random

import pytest

from imgcls_beam.elements import ImageFacts
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import UndecodedImage, try_decode
from imgcls_beam.preparing.sizes import Size
from tests import pictures
from tests.edges import DAMAGE, FORMATS, NO_IMAGES, ORIENTATION, SIZES
from tests.edges.case import EdgeCase
from tests.faults.test_hostile_images import BOMBS, mutate

PICTURE = pictures.draw_picture((460, 300))
MUTATIONS = 250
JPEGS = {
    "plain": pictures.encode(PICTURE, "JPEG"),
    "grey": pictures.encode(PICTURE.convert("L"), "JPEG"),
    "inks": pictures.encode(PICTURE.convert("CMYK"), "JPEG"),
    "progressive, turned": pictures.encode(
        PICTURE, "JPEG", progressive=True, exif=pictures.exif_block(6)
    ),
    "restarts": pictures.encode(PICTURE, "JPEG", restart_marker_blocks=4),
    "full chroma": pictures.encode(PICTURE, "JPEG", subsampling=0),
}
CASES = (*FORMATS, *NO_IMAGES, *DAMAGE, *ORIENTATION, *SIZES)


def _take_little(full: Size) -> Size:
    """A model that takes so few pixels that whatever can be reduced is."""
    return min(3, full[0]), min(2, full[1])


def _tell(data: bytes, options: DecodeOptions, *, is_fast: bool) -> tuple[str | None, ImageFacts]:
    """What becomes of an image: its failure's code and sentence, and what is known of it."""
    outcome = try_decode(data, options, find_target=_take_little if is_fast else None)
    if not isinstance(outcome, UndecodedImage):
        assert outcome.extent.full == (outcome.facts.height_px, outcome.facts.width_px)
        return None, outcome.facts
    return f"{outcome.error.code}: {outcome.error.message}", outcome.facts


def _assert_same(data: bytes, options: DecodeOptions) -> str | None:
    exact, fast = (_tell(data, options, is_fast=is_fast) for is_fast in (False, True))
    assert fast == exact
    return exact[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_odd_image_has_the_same_facts_and_failure(case: EdgeCase) -> None:
    _assert_same(case.image(), case.options.get("decode", DecodeOptions()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_has_the_same_failure(bomb: str) -> None:
    make, code = BOMBS[bomb]
    said = _assert_same(make(), DecodeOptions())
    assert (said is None) == (code is None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", JPEGS)
def test_a_damaged_jpeg_has_the_same_facts_and_failure(kind: str) -> None:
    random_source = random.Random(kind)
    options = DecodeOptions(max_pixels=1 << 20)
    said = [_assert_same(mutate(JPEGS[kind], random_source), options) for _ in range(MUTATIONS)]
    assert None in said
    assert len(set(said)) > 2


@pytest.mark.parametrize("kept", [0.02, 0.2, 0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_cut_jpeg_is_truncated_however_little_of_it_is_needed(kind: str, kept: float) -> None:
    data = JPEGS[kind][: int(len(JPEGS[kind]) * kept)]
    assert str(_assert_same(data, DecodeOptions())).startswith("truncated")
