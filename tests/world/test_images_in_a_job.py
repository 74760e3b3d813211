"""Images as cameras and programs write them, through the whole job, beside the reference."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline

from tests import pictures
from tests.pictures import encode
from tests.pipelines.test_classify import classify, read_rows
from tests.tiffs import TiffForm, write_tiff

DEMO = pathlib.Path(__file__).parents[2] / "demo"
PICTURE = Image.open(DEMO / "images" / "circle-12-bitmap.bmp").convert("RGB")
GREY = np.asarray(PICTURE.convert("L"))
DEEP = GREY.astype(np.uint16)
TOLERANCE = 1e-5
Answer = dict[str, float]


def _png(pixels: Any) -> bytes:
    return encode(Image.fromarray(pixels), "PNG")


def _tiff(pixels: Any, photometric: int = 1, **form: Any) -> bytes:
    return write_tiff(pixels, TiffForm(photometric, **form))


READ_RIGHTLY: dict[str, Callable[[], bytes]] = {
    "plain-8.png": lambda: _png(GREY),
    "8-of-16.png": lambda: _png(DEEP),
    "8-of-16.tif": lambda: _tiff(DEEP, bits=16),
    "8-of-32.tif": lambda: _tiff(GREY.astype(np.int64), bits=32, number=2),
    "8-of-16.jp2": lambda: encode(Image.fromarray(DEEP), "JPEG2000"),
    "8-of-16.pgm": lambda: encode(Image.fromarray(DEEP), "PPM"),
    "white-is-zero-8.tif": lambda: _tiff(255 - GREY, 0, is_big=True, is_tiled=True),
    "white-is-zero-4.tif": lambda: _tiff(15 - GREY // 16, 0, bits=4, is_packed=True),
    "white-is-zero-1.tif": lambda: _tiff(1 - GREY // 128, 0, bits=1),
    "deep-colour.png": lambda: pictures.png_of_samples(
        (np.asarray(PICTURE).astype(np.uint16) * 257).astype(">u2"), 2
    ),
    "deep-alpha.png": lambda: pictures.png_of_samples(
        np.stack([DEEP * 257, DEEP], axis=-1).astype(">u2"), 4
    ),
    "profile.jpg": lambda: encode(PICTURE, "JPEG", icc_profile=bytes(3 << 20)),
    "profile.webp": lambda: encode(PICTURE, "WEBP", icc_profile=bytes(3 << 20)),
    "profile.tif": lambda: encode(PICTURE, "TIFF", icc_profile=bytes(3 << 20)),
    "comment.gif": lambda: encode(PICTURE.quantize(64), "GIF", comment=b"a" * (1 << 20)),
}
"""What the reference reads rightly, too."""
AS_PLAIN: dict[str, Callable[[], bytes]] = {
    "10-of-16.png": lambda: _png(DEEP * 4),
    "12-of-16.png": lambda: _png(DEEP * 16),
    "14-of-16.tif": lambda: _tiff(DEEP * 64, bits=16, is_big=True, is_packed=True),
    "16-of-16.png": lambda: _png(DEEP * 257),
    "12-of-16-with-alpha.png": lambda: pictures.png_of_samples(
        np.stack([DEEP * 16, DEEP], axis=-1).astype(">u2"), 4
    ),
    "16-of-16.jp2": lambda: encode(Image.fromarray(DEEP * 257), "JPEG2000"),
    "12-packed.tif": lambda: _tiff(DEEP * 16, bits=12, is_big=True),
    "white-is-zero-16.tif": lambda: _tiff(65_535 - DEEP * 257, 0, bits=16),
    "white-is-zero-16-big.tif": lambda: _tiff(65_535 - DEEP * 257, 0, bits=16, is_big=True),
    "white-is-zero-12-of-16.tif": lambda: _tiff(4095 - DEEP * 16, 0, bits=16, is_packed=True),
    "ratio.tif": lambda: _tiff(GREY / np.float32(255), bits=32, number=3, is_big=True),
    "profile.png": lambda: encode(Image.fromarray(GREY), "PNG", icc_profile=bytes(3 << 20)),
}
"""What the reference refuses or misreads: the picture of `plain-8.png`."""
REFUSED: dict[str, Callable[[], bytes]] = {
    "ratio-of-16.tif": lambda: _tiff(GREY / np.float32(255), bits=16, number=3),
    "scan.jxl": lambda: b"\xff\x0a\xfa\x1f\x41",
    "photo.cr3": lambda: b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
}


@pytest.mark.slow
def test_scores_are_those_of_the_reference_or_of_the_plain_picture(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, make in (READ_RIGHTLY | AS_PLAIN | REFUSED).items():
        (folder / name).write_bytes(make())
    heic = encode(PICTURE, "HEIF", quality=-1)
    (folder / "photo.heic").write_bytes(heic)

    flags = ("--max_error_ratio=1", "--top_k=all")
    assert classify(folder / "*", tmp_path / "out", DEMO / "model", *flags) == 0
    rows = {row["image_uri"].rpartition("/")[2]: row for row in read_rows(tmp_path / "out")}
    assert set(rows) == {path.name for path in folder.iterdir()}

    reference = pipeline("image-classification", model=str(DEMO / "model"), device="cpu")

    def ask(image: Any) -> Answer:
        return {each["label"]: each["score"] for each in reference(image, top_k=100)}

    for name in READ_RIGHTLY:
        _assert_is(rows[name], ask(str(folder / name)))
    for name in AS_PLAIN:
        _assert_is(rows[name], ask(str(folder / "plain-8.png")))
    _assert_is(rows["photo.heic"], ask(pictures.decode(heic).image))
    for name in REFUSED:
        error = rows[name]["error"]
        assert (error["stage"], error["code"]) == ("prepare", "unsupported"), name


def _assert_is(row: dict[str, Any], expected: Answer) -> None:
    answer = {each["label"]: each["score"] for each in row["predictions"]}
    assert answer == pytest.approx(expected, abs=TOLERANCE), row["image_uri"]
    best = max(expected, key=expected.__getitem__)
    assert row["top_label"] == best


def test_the_picture_and_its_negative_are_told_apart() -> None:
    """Else the comparison would show nothing."""
    reference = pipeline("image-classification", model=str(DEMO / "model"), device="cpu")
    scores = [
        {each["label"]: each["score"] for each in reference(Image.fromarray(each), top_k=100)}
        for each in (GREY, 255 - GREY, GREY // 16)
    ]
    assert scores[0] != pytest.approx(scores[1], abs=1e-4)
    assert scores[0] != pytest.approx(scores[2], abs=1e-2)
