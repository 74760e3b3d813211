"""Resize and crop as the model's image processor does them, on uint8 pixels.

The arithmetic that follows in the reference (rescale, normalise) is the same for every image, so it
is left to the model's device, once per batch. What comes out here is equal, grey level by grey
level, to `transformers`' Pillow processors, whose steps are: Pillow's resize, numpy's centre crop.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

from imgcls_beam.elements import Pixels
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing.fast_resizing import resize_fast
from imgcls_beam.preparing.resizing import resize_centre
from imgcls_beam.preparing.sizes import CentreRule, Extent, Size, SizeRule, Warp, centre_down

_MAX_CROPPED_PIXELS = 256 << 20
"""Of a resized image before its crop. 4,096 × 1 becomes so many at an edge of 256, in up to 4 s; a
JPEG of 1 × 65,500 would take minutes."""

MAX_PASSING_PIXELS = 32 << 20
"""Of a resized image that is resized again: Pillow holds up to eight bytes of each."""

MAX_WHOLE_PIXELS = 16 << 20
"""Of a resized image that stays whole: Pillow and numpy hold up to 14 bytes of each."""


_MAX_FAST_PIXELS = 4 << 20
"""Of a resized image, up to which all of it is made before its crop, faster than its middle."""

Colour = tuple[int, int, int]
_BLACK = (0, 0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Resize:
    """A resize, and the centre crop of it where one follows.

    Attributes:
        rule: the size before the crop.
        resample: Pillow's filter.
        crop: of the centre crop; None for no crop. An image that is smaller is padded.
        max_pixels: of the size before the crop, unless every image gets the same.
        centre: where the middle is.
        fill: what an image is padded with.
    """

    rule: SizeRule
    resample: Image.Resampling
    crop: Size | None = None
    max_pixels: int = MAX_WHOLE_PIXELS
    centre: CentreRule = dataclasses.field(default=centre_down, repr=False)
    fill: Colour = _BLACK

    def apply(self, image: Image.Image) -> Image.Image:
        """The image resized, and cropped.

        Raises:
            ImageError: it is too long and thin.
        """
        size = self.find_size((image.height, image.width))
        crop = self.crop or size
        resized = resize_centre(image, size, crop, self.resample, self.centre)
        return _crop_centre(resized, crop, self.centre, self.fill)

    def apply_fast(self, image: Image.Image, extent: Extent) -> Image.Image:
        """The image, which may be reduced, resized by `resize_fast` and cropped.

        Raises:
            ImageError: it is too long and thin.
        """
        size = self.find_size(extent.full)
        if size[0] * size[1] > _MAX_FAST_PIXELS:
            return self.apply(image)
        resized = resize_fast(image, size, self.resample, extent.box)
        return _crop_centre(resized, self.crop or size, self.centre, self.fill)

    def find_size(self, full: Size) -> Size:
        """The size, before the crop, of an image that has (height, width) `full`.

        Raises:
            ImageError: it is too long and thin.
        """
        size = self.rule(full)
        if not isinstance(self.rule, Warp):
            refuse_long(full, size, _MAX_CROPPED_PIXELS if self.crop else self.max_pixels)
        return size


@dataclasses.dataclass(frozen=True, slots=True)
class CenterCrop:
    """A centre crop of the image as it is, padded where the image is smaller; see `Resize`."""

    size: Size
    centre: CentreRule = dataclasses.field(default=centre_down, repr=False)
    fill: Colour = _BLACK

    def apply(self, image: Image.Image) -> Image.Image:
        """The middle of the image."""
        return _crop_centre(image, self.size, self.centre, self.fill)


@dataclasses.dataclass(frozen=True, slots=True)
class CenterShare:
    """Perceiver's centre crop, before any resize.

    Attributes:
        ratios: of the crop's height and width to the image's shorter edge.
    """

    ratios: tuple[float, float]

    def apply(self, image: Image.Image) -> Image.Image:
        """The middle of the image.

        Of an edge of one pixel nothing may be left. Pillow resizes nothing to black, so the
        reference scores black; a black pixel becomes the same.

        Raises:
            ImageError: it would be padded to more pixels than memory allows.
        """
        edge_px = min(image.size)
        size = int(self.ratios[0] * edge_px), int(self.ratios[1] * edge_px)
        if not min(size):
            return Image.new("RGB", (1, 1))
        refuse_long(
            (image.height, image.width), size, max(MAX_WHOLE_PIXELS, image.width * image.height)
        )
        return _crop_centre(image, size, centre_down, _BLACK)


@dataclasses.dataclass(frozen=True, slots=True)
class PadAround:
    """Donut's black frame, up to `size`; the odd pixel goes below and to the right."""

    size: Size

    def apply(self, image: Image.Image) -> Image.Image:
        """The image in its frame.

        Raises:
            ImageError: the image is larger than the frame, which the processor refuses.
        """
        top_px, left_px = self.size[0] - image.height, self.size[1] - image.width
        if min(top_px, left_px) < 0:
            raise ImageError(FailureCode.UNPREPARABLE, "the image is larger than the model's frame")
        return _crop(image, self.size, (-(top_px // 2), -(left_px // 2)))


@dataclasses.dataclass(frozen=True, slots=True)
class TurnLong:
    """Donut's turn by 90° clockwise, where the longer edge is not the longer one of `size`."""

    size: Size

    def apply(self, image: Image.Image) -> Image.Image:
        """The image, turned or not."""
        if (self.size[0] - self.size[1]) * (image.height - image.width) >= 0:
            return image
        return image.transpose(Image.Transpose.ROTATE_270)


@dataclasses.dataclass(frozen=True, slots=True)
class Keep:
    """No resize: the image as it is, if a model can be fed with so many pixels."""

    def apply(self, image: Image.Image) -> Image.Image:
        """The image.

        Raises:
            ImageError: it has too many pixels.
        """
        if image.width * image.height > MAX_WHOLE_PIXELS:
            size = f"{image.width} × {image.height} pixels"
            message = f"{size} are too many for a model that takes all"
            raise ImageError(FailureCode.UNPREPARABLE, message)
        return image


Step = Resize | CenterCrop | CenterShare | PadAround | TurnLong | Keep


@dataclasses.dataclass(frozen=True, slots=True)
class Geometry:
    """Steps on uint8 pixels, in their order.

    Attributes:
        steps: at least one.
        is_bgr: whether the model takes the channels in the order B, G, R.
    """

    steps: tuple[Step, ...]
    is_bgr: bool = False

    def apply(self, image: Image.Image) -> Pixels:
        """Geometry of one image, which is upright and of mode RGB.

        Returns:
            uint8 (H, W, 3), in the model's order of channels.

        Raises:
            ImageError: it is too long and thin, or too large, for one of the steps.
        """
        for step in self.steps:
            image = step.apply(image)
        return self._to_pixels(image)

    def apply_fast(self, image: Image.Image, extent: Extent) -> Pixels:
        """The same but for some grey levels, by `resize_fast`, of an image that may be reduced.

        Args:
            image: upright and of mode RGB; reduced only where `find_target` has given a size.
            extent: what it shows.

        Raises:
            ImageError: as `apply` does, of the same images.
        """
        steps: Sequence[Step] = self.steps
        if isinstance(steps[0], Resize):
            image, steps = steps[0].apply_fast(image, extent), steps[1:]
        for step in steps:
            image = step.apply(image)
        return self._to_pixels(image)

    def find_target(self, full: Size) -> Size | None:
        """The size after the resize that is the first step, of an image of (height, width) `full`.

        None where another step comes first, or where the image becomes very large or cannot be
        resized: such an image is not to be reduced.
        """
        first = self.steps[0]
        try:
            size = first.find_size(full) if isinstance(first, Resize) else (0, 0)
        except ImageError:
            return None
        return size if 0 < size[0] * size[1] <= _MAX_FAST_PIXELS else None

    def _to_pixels(self, image: Image.Image) -> Pixels:
        if not self.is_bgr:
            return np.asarray(image)
        flat = np.frombuffer(image.tobytes("raw", "BGR"), np.uint8)
        return flat.reshape(image.height, image.width, 3)


def refuse_long(full: Size, size: Size, max_pixels: int) -> None:
    """Refuses an image that would become larger than memory or time allow, or nothing at all.

    Raises:
        ImageError: `size` has more than `max_pixels`, or none.
    """
    if not 0 < size[0] * size[1] <= max_pixels:
        message = f"{full[1]} × {full[0]} pixels are too long and thin to be resized"
        raise ImageError(FailureCode.UNPREPARABLE, message)


def _crop_centre(image: Image.Image, size: Size, centre: CentreRule, fill: Colour) -> Image.Image:
    """The middle, with a frame around an image that is smaller."""
    if (image.height, image.width) == size:
        return image
    start = centre(image.height - size[0]), centre(image.width - size[1])
    if fill == _BLACK or min(start) >= 0:
        return _crop(image, size, start)
    framed = Image.new("RGB", (size[1], size[0]), fill)
    framed.paste(image, (-start[1], -start[0]))
    return framed


def _crop(image: Image.Image, size: Size, start: Size) -> Image.Image:
    """What begins at (top, left), either of which may be negative; black outside the image."""
    return image.crop((start[1], start[0], start[1] + size[1], start[0] + size[0]))
