"""Images that a caller has opened: what their bytes give, or refused where Pillow misreads them."""

import io
import pathlib
import pickle

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.handler import ImageClassificationModelHandler
from imgcls_beam.preparing import read_unloaded, upright_rgb
from tests import pictures
from tests.edges import files
from tests.tiffs import TiffForm, write_tiff

GREY = np.asarray(pictures.draw_picture().convert("L"))
RATIO = GREY / np.float32(255)
DARK_PGM = b"P5 4 1 4095\n" + np.array([0, 16, 64, 255], ">u2").tobytes()

MISREAD_TIFFS = {
    "floating point": write_tiff(RATIO, TiffForm(1, 32, 3, is_big=True, is_packed=True)),
    "floating point, 0 is white": write_tiff(
        1 - RATIO, TiffForm(0, 32, 3, is_big=True, is_packed=True)
    ),
    "32 bits, signed": write_tiff(
        GREY.astype(np.int64) << 23, TiffForm(1, 32, 2, is_big=True, is_packed=True)
    ),
    "signed": write_tiff(
        GREY.astype(np.int16) << 7, TiffForm(1, 16, 2, is_big=True, is_packed=True)
    ),
    "channels apart": files.tiff_with_channels_apart(),
    "YCbCr": files.tiff_of_ycbcr(),
    "a palette of 8 bits": files.tiff_with_palette_of_8_bits(),
    "CIELAB apart": files.tiff_of_cielab_apart(),
    "a camera's raw file": files.raw_with_a_small_picture(),
}
OPENED = {
    **MISREAD_TIFFS,
    "TIFF, 16 bits, 0 is white": write_tiff(65_535 - GREY.astype(int) * 257, TiffForm(0, 16)),
    "JPEG 2000, 16-bit RGB": files.jpeg2000_of_16_bits(),
    "JPEG 2000, 4-bit grey": files.jpeg2000_of_4_bits(),
    "PNG, 16-bit grey and alpha": files.png_16_bit_grey_and_alpha(),
    "PGM, 12 bits, dark": DARK_PGM,
}


@pytest.mark.parametrize("name", OPENED)
def test_an_opened_image_gives_its_bytes_and_is_left_as_it_was(name: str) -> None:
    file = io.BytesIO(OPENED[name])
    image = Image.open(file)
    file.seek(7)
    assert read_unloaded(image) == OPENED[name]
    assert file.tell() == 7
    assert image.tile


def test_an_opened_image_and_its_bytes_have_one_answer(vit_folder: pathlib.Path) -> None:
    handler = ImageClassificationModelHandler(str(vit_folder), top_k=None)
    batch = [*OPENED.values(), *[Image.open(io.BytesIO(data)) for data in OPENED.values()]]
    told = [each.inference for each in handler.run_inference(batch, handler.load_model())]
    for of_bytes, of_opened in zip(told[: len(OPENED)], told[len(OPENED) :], strict=True):
        if isinstance(of_bytes, list):
            assert of_opened == of_bytes
        else:
            assert of_opened.code is of_bytes.code is FailureCode.UNSUPPORTED


def test_no_file_but_the_open_one_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(pictures.encode(pictures.draw_picture(), "PNG"))
    data = path.read_bytes()
    with Image.open(path) as image:
        path.unlink()
        path.write_bytes(b"another")
        assert read_unloaded(image) == data


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP", "TGA"])
def test_what_pillow_reads_as_it_is_stays_with_pillow(kind: str) -> None:
    image = Image.open(io.BytesIO(pictures.encode(pictures.draw_picture(), kind)))
    assert read_unloaded(image) is None


def test_an_image_that_is_loaded_closed_or_turned_on_has_no_bytes(tmp_path: pathlib.Path) -> None:
    data = pictures.encode(
        pictures.draw_picture(),
        "TIFF",
        save_all=True,
        append_images=[Image.new("RGB", (4, 4), "red")],
    )
    (tmp_path / "a.tif").write_bytes(data)
    loaded, closed, turned = (Image.open(tmp_path / "a.tif") for _ in range(3))
    loaded.load()
    closed.fp.close()  # type: ignore[union-attr]
    turned.seek(1)
    assert [read_unloaded(each) for each in (loaded, closed, turned)] == [None] * 3
    assert np.asarray(upright_rgb(turned)).tolist() == [[[255, 0, 0]] * 4] * 4


@pytest.mark.parametrize("name", MISREAD_TIFFS)
def test_a_tiff_that_pillow_has_misread_is_refused(name: str) -> None:
    image = Image.open(io.BytesIO(MISREAD_TIFFS[name]))
    image.load()
    with pytest.raises(ImageError, match="is misread by Pillow; give its bytes") as caught:
        upright_rgb(image)
    assert caught.value.code is FailureCode.UNSUPPORTED


def test_a_tiff_that_was_pickled_says_nothing_of_its_numbers() -> None:
    image = Image.open(io.BytesIO(files.tiff_of_grey(0, 16)))
    pickled = pickle.loads(pickle.dumps(image))
    with pytest.raises(ImageError, match="a TIFF that was pickled") as caught:
        upright_rgb(pickled)
    assert caught.value.code is FailureCode.UNSUPPORTED


@pytest.mark.parametrize(
    "form",
    [
        TiffForm(1, 8, is_big=True, is_packed=True),
        TiffForm(1, 16, is_big=True, is_packed=True),
        TiffForm(1, 32, 3, is_big=True),
        TiffForm(1, 32, 3, is_packed=True),
    ],
)
def test_a_loaded_tiff_that_pillow_reads_is_the_picture(form: TiffForm) -> None:
    scale = {8: 1, 16: 257, 32: np.float32(1 / 255)}[form.bits]
    image = Image.open(io.BytesIO(write_tiff(GREY.astype(float) * scale, form)))
    image.load()
    np.testing.assert_array_equal(np.asarray(upright_rgb(image))[..., 0], GREY)
