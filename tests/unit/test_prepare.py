"""One image through decoding and geometry; large ones one at a time."""

import concurrent.futures
import dataclasses
import hashlib
import pathlib
import threading
import time

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.byte_budget import ByteBudget
from imgcls_beam.cores import count_cores
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, PixelArray, Pixels
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import (
    Prepared,
    Preparer,
    SharedPixels,
    load_preparer,
    prepare,
    prepare_for_models,
    prepare_opened,
)
from imgcls_beam.preparing.decode_memory import HUGE_BYTES, LARGE_BYTES, PIXEL_BYTES
from imgcls_beam.sandbox import box_pool
from imgcls_beam.sandbox.child_lines import SLOTS
from tests.scenes import draw_photo, encode


@dataclasses.dataclass
class CountingPreparer:
    """Counts how many images are in memory at once, and refuses where it is told to."""

    refuses: bool = False
    now: int = 0
    most: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def identity(self) -> int:
        return id(self)

    def prepare(self, image: Image.Image) -> Pixels:
        if self.refuses:
            raise ImageError(FailureCode.UNPREPARABLE, "no")
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.05)
        with self.lock:
            self.now -= 1
        return np.zeros((2, 2, 3), np.uint8)


def prepare_image(
    encoded: EncodedImage, preparer: Preparer, options: DecodeOptions
) -> PixelArray | Failure:
    return prepare_for_models(encoded, (preparer,), options)[0]


LARGE_PX = (2048, LARGE_BYTES // PIXEL_BYTES["PNG"] // 2048 + 1)


@pytest.mark.parametrize(
    ("size_px", "budget", "most"),
    [(LARGE_PX, 1, 1), (LARGE_PX, LARGE_BYTES * 3, 2), ((2048, 1), 1, 4)],
)
def test_images_are_in_memory_as_far_as_the_budget_goes(
    size_px: tuple[int, int], budget: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_DECODING", ByteBudget(budget))
    data = encode(Image.new("L", size_px), "PNG")
    preparer = CountingPreparer()
    images = [EncodedImage(ImageRef(str(index)), data) for index in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda image: prepare_image(image, preparer, DecodeOptions()), images)  # type: ignore[arg-type]
        assert [type(each) for each in found] == [PixelArray] * 4
    assert preparer.most <= most
    assert most == 1 or preparer.most > 1


def test_a_large_image_that_fails_lets_the_next_one_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "_DECODING", ByteBudget(1))
    data = encode(Image.new("L", LARGE_PX), "PNG")
    image = EncodedImage(ImageRef("a"), data)
    for content in (data, data[: len(data) // 2], data):
        prepare_image(EncodedImage(ImageRef("a"), content), CountingPreparer(True), DecodeOptions())  # type: ignore[arg-type]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        last = pool.submit(prepare_image, image, CountingPreparer(), DecodeOptions())  # type: ignore[arg-type]
        assert isinstance(last.result(timeout=60), PixelArray)


def test_pixels_come_with_the_facts_of_the_encoded_image(vit_folder: pathlib.Path) -> None:
    preparer = load_preparer(resolve_model(str(vit_folder), None))
    data = encode(draw_photo(1, (120, 80)), "JPEG")
    prepared = prepare_image(EncodedImage(ImageRef("a"), data), preparer, DecodeOptions())
    assert isinstance(prepared, PixelArray)
    assert (prepared.inputs["pixel_values"].shape, prepared.inputs["pixel_values"].dtype) == (
        (32, 32, 3),
        np.uint8,
    )
    assert prepared.facts is not None
    assert prepared.facts.sha256 == hashlib.sha256(data).hexdigest()
    facts = prepared.facts
    assert (facts.width_px, facts.height_px, facts.format) == (120, 80, "JPEG")


def test_a_failure_says_what_was_known_of_the_image_and_how_often_it_was_read() -> None:
    data = encode(draw_photo(1, (120, 80)), "PNG")
    options = DecodeOptions(max_pixels=120 * 80 - 1)
    failure = prepare_image(EncodedImage(ImageRef("a"), data, 3), CountingPreparer(), options)  # type: ignore[arg-type]
    assert isinstance(failure, Failure)
    assert (failure.code, failure.tries) == (FailureCode.TOO_MANY_PIXELS, 3)
    assert failure.facts is not None
    assert (failure.facts.width_px, failure.facts.height_px) == (120, 80)


def test_what_the_processor_refuses_is_a_failure() -> None:
    encoded = EncodedImage(ImageRef("a"), encode(draw_photo(1)))
    failure = prepare_image(encoded, CountingPreparer(refuses=True), DecodeOptions())  # type: ignore[arg-type]
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.UNPREPARABLE
    opened = prepare_opened(draw_photo(1), CountingPreparer(refuses=True))  # type: ignore[arg-type]
    assert isinstance(opened, Failure)


def test_an_opened_image_is_turned_upright_and_left_as_it_was(vit_folder: pathlib.Path) -> None:
    preparer = load_preparer(resolve_model(str(vit_folder), None))
    image = draw_photo(1, (120, 80)).convert("LA")
    before = image.tobytes()
    prepared = prepare_opened(image, preparer)
    assert isinstance(prepared, PixelArray)
    assert prepared.facts is None
    assert (image.mode, image.tobytes()) == ("LA", before)


def test_one_pool_of_the_process_has_a_thread_for_each_image_that_the_box_takes_in() -> None:
    assert box_pool() is box_pool()
    assert box_pool()._max_workers == SLOTS * count_cores()


def test_images_that_end_alike_are_told_from_each_other() -> None:
    """Only the end is summed; what has one sum and length is compared."""
    prepared: list[bytes] = []

    def prepare(image: EncodedImage) -> Prepared:
        prepared.append(image.data[:1])
        return (PixelArray(image.ref, {"a": np.frombuffer(image.data[:1], np.uint8)}, None, 1.0),)

    shared = SharedPixels(prepare)
    for head in (b"a", b"a", b"b", b"b", b"a"):
        (found,) = shared.prepare(EncodedImage(ImageRef("x"), head + bytes(1 << 16)))
        assert isinstance(found, PixelArray)
        assert found.inputs["a"].tobytes() == head
    assert prepared == [b"a", b"b", b"a"]


def test_models_of_one_geometry_share_their_pixels(
    model_folders: dict[str, pathlib.Path],
) -> None:
    """ViT and Swin have one processor here; ConvNeXT has another."""
    names = ("vit", "convnext", "swin")
    preparers = [load_preparer(resolve_model(str(model_folders[name]), None)) for name in names]
    encoded = EncodedImage(ImageRef("a"), encode(draw_photo(1, (120, 80))))
    vit, convnext, swin = prepare_for_models(encoded, preparers, DecodeOptions())
    assert vit is swin
    assert isinstance(convnext, PixelArray)
    alone = prepare_image(encoded, preparers[1], DecodeOptions())
    assert isinstance(alone, PixelArray)
    assert np.array_equal(convnext.inputs["pixel_values"], alone.inputs["pixel_values"])


def test_what_is_kept_is_given_back_before_an_image_that_takes_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []
    monkeypatch.setattr(prepare, "give_back_unused", lambda: given.append(1))
    for size_bytes, count in ((HUGE_BYTES, 0), (HUGE_BYTES + 1, 1)):
        with prepare.lend_memory() as turn:
            prepare.wait_if_large(turn, size_bytes)
        assert len(given) == count
