"""Small pictures for people: what is in them, and what is taken for one of them."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.previews import Preview, encode_preview, is_encoded_here
from imgcls_beam.sandbox import draw_in_box
from tests.pictures import encode, exif_block, with_jpeg_segments
from tests.scenes import draw_photo

PHOTO = draw_photo(4, (96, 64))
DRAWN = encode_preview(PHOTO)
BEHIND_HEAD = DRAWN.jpeg.index(b"\xff\xda") + 14


def save(image: Image.Image = PHOTO, **how: Any) -> bytes:
    written = io.BytesIO()
    image.copy().save(written, "JPEG", **({"quality": 70} | how))
    return written.getvalue()


OTHERS = {
    "another quality": save(quality=71),
    "another subsampling": save(subsampling=0),
    "a progressive one": save(progressive=True),
    "tables of its own": save(optimize=True),
    "grey": save(PHOTO.convert("L")),
    "four inks": save(PHOTO.convert("CMYK")),
    "a comment": save(comment=b"hello"),
    "EXIF": save(exif=exif_block(6)),
    "a colour profile": save(icc_profile=b"profile"),
    "a segment at its beginning": with_jpeg_segments(DRAWN.jpeg, 0xE1, b"hello"),
    "another size": save(draw_photo(4, (96, 72))),
    "another kind": encode(PHOTO, "PNG"),
    "nothing": b"",
    "its head alone": DRAWN.jpeg[:BEHIND_HEAD],
    "a cut one": DRAWN.jpeg[:-1],
    "something behind its end": DRAWN.jpeg + b"<script>",
    "a second one behind it": DRAWN.jpeg * 2,
    "a segment in its scan": b"\xff\xe1\0\x02".join(
        (DRAWN.jpeg[: BEHIND_HEAD + 9], DRAWN.jpeg[BEHIND_HEAD + 9 :])
    ),
    "a restart in its scan": DRAWN.jpeg[:-2] + b"\xff\xd0" + DRAWN.jpeg[-2:],
    "fill bytes before its end": DRAWN.jpeg[:-2] + b"\xff" + DRAWN.jpeg[-2:],
}


@pytest.mark.parametrize("size_px", [(1, 1), (1, 288), (288, 1), (17, 200), (288, 288)])
@pytest.mark.parametrize("kind", ["photo", "noise", "flat"])
def test_what_is_encoded_here_is_known_again(kind: str, size_px: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (*size_px[::-1], 3), np.uint8)
    image = {
        "photo": draw_photo(7, size_px),
        "noise": Image.fromarray(noise),
        "flat": Image.new("RGB", size_px, "white"),
    }[kind]
    drawn = encode_preview(image)
    assert (drawn.width_px, drawn.height_px) == size_px
    assert is_encoded_here(drawn)


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_encoded_here_is_refused(other: str) -> None:
    assert is_encoded_here(DRAWN)
    assert not is_encoded_here(Preview(OTHERS[other], *PHOTO.size))


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_a_small_picture_holds_nothing_else_of_its_file(sandbox: Any) -> None:
    """Whoever gets a page sees pixels: neither comment, EXIF nor profile comes with them."""
    told = {"comment": b"secret", "exif": exif_block(1), "icc_profile": b"secret"}
    drawn = draw_in_box(save(quality=95, **told), 288, DecodeOptions(sandbox=sandbox))
    assert drawn == draw_in_box(save(quality=95), 288, DecodeOptions(sandbox=sandbox))
    assert b"secret" not in drawn.jpeg
    assert is_encoded_here(drawn)
