"""Untrusted bytes → an upright RGB image, or the reason why not.

The result equals the reference, `ImageOps.exif_transpose(Image.open(…)).convert("RGB")`, except for
grey of more than 8 bits, which Pillow clips to white and `grey` scales, and for what it misreads.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import operator
from collections.abc import Callable, Iterator

from PIL import Image, ImageFile

from imgcls_beam.elements import ImageFacts
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode_memory import estimate_bytes
from imgcls_beam.preparing.formats import FORMATS, identify
from imgcls_beam.preparing.grey import is_deep_grey, scale_grey
from imgcls_beam.preparing.inspecting import Inspection, Samples
from imgcls_beam.preparing.inspecting.opened_tiffs import describe_opened, name_misread
from imgcls_beam.preparing.limits import check_inspection, check_memory, check_size
from imgcls_beam.preparing.orientation import LYING, UPRIGHT, read_orientation
from imgcls_beam.preparing.reducing import decode_reduced
from imgcls_beam.preparing.sizes import Extent, TargetRule

_MAX_EDGE_PX = (1 << 31) - 1


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image ready for a model's geometry.

    Attributes:
        image: mode RGB, upright, the first frame.
        facts: of the encoded image.
        extent: what it shows; it may have been reduced.
    """

    image: Image.Image
    facts: ImageFacts
    extent: Extent


@dataclasses.dataclass(frozen=True, slots=True)
class UndecodedImage:
    """An image that cannot be decoded.

    Attributes:
        error: the reason; of the prepare stage, or `empty`.
        facts: of the encoded image, as far as it was understood.
    """

    error: ImageError
    facts: ImageFacts


def try_decode(
    data: bytes,
    options: DecodeOptions,
    before_load: Callable[[int], object] = lambda size_bytes: None,
    find_target: TargetRule | None = None,
    measured: ImageFacts | None = None,
) -> DecodedImage | UndecodedImage:
    """Decodes an untrusted image; what is wrong with it comes back as a value, with the facts.

    Args:
        data: as it was read.
        options: limits.
        before_load: is called, up to three times, with the bytes that decoding will take at most.
        find_target: what the image will be resized to; it may then come reduced. None: in full.
        measured: what `measure` gives; None to measure it here.
    """
    facts = measured or measure(data)
    try:
        facts = dataclasses.replace(facts, format=(name := identify(data)))
        found = FORMATS[name].inspect(data)
        check_inspection(name, found, options)
        estimate = functools.partial(_estimate, name, found, options)
        if found.size and not found.is_opened_small:
            facts = _with_size(facts, found.size)
            before_load(estimate(check_size(found.size, options)))
        with _blaming_the_image(name, found.variant, is_cut=found.is_cut):
            opened = FORMATS[name].reader(io.BytesIO(found.data))
        facts = _with_size(facts, _upright_size(opened))
        size_bytes = estimate(check_size(opened.size, options))
        if find_target is not None and found.is_scalable:
            before = functools.partial(_before_load, before_load, estimate)
            if reduced := decode_reduced(found.data, opened, find_target, before):
                return _finish(reduced.image, facts, found.samples, reduced.extent)
        before_load(size_bytes)
        with _blaming_the_image(name, found.codec, is_cut=found.is_cut):
            opened.load()
        return _finish(opened, facts, found.samples)
    except ImageError as error:
        problem = _make_anew(error)
    return UndecodedImage(problem, facts)


def _make_anew(error: ImageError) -> ImageError:
    """The same without its traceback, by which it holds every half-decoded pixel.

    A frame that has the error in a variable of its own would hold both until garbage is collected.
    """
    return ImageError(error.code, error.message, retryable=error.retryable)


def _estimate(name: str, found: Inspection, options: DecodeOptions, pixels: int) -> int:
    size_bytes = estimate_bytes(name, found, pixels)
    check_memory(name, size_bytes, options)
    return size_bytes


def _before_load(
    before_load: Callable[[int], object], estimate: Callable[[int], int], pixels: int
) -> None:
    before_load(estimate(pixels))


def _finish(
    loaded: Image.Image, facts: ImageFacts, samples: Samples, extent: Extent | None = None
) -> DecodedImage:
    """A loaded image upright and as RGB; without an extent it is the whole one."""
    # It changes no RGB value, but Pillow would warn of it, on stderr and not thread-safely.
    loaded.info.pop("transparency", None)
    image = upright_rgb(loaded, samples, is_ours=True)
    extent = extent or Extent.of_whole((image.height, image.width))
    return DecodedImage(image, _with_size(facts, extent.full[::-1]), extent)


def measure(data: bytes) -> ImageFacts:
    """Size and checksum of an encoded image."""
    return ImageFacts(size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _with_size(facts: ImageFacts, size: tuple[int, int]) -> ImageFacts:
    if max(size) > _MAX_EDGE_PX:  # a lie, which no column holds
        return facts
    return dataclasses.replace(facts, width_px=size[0], height_px=size[1])


@contextlib.contextmanager
def _blaming_the_image(name: str, unknown: str = "", *, is_cut: bool = False) -> Iterator[None]:
    """Whatever a decoder raises becomes an `ImageError` with a sentence of ours.

    Args:
        name: of the format.
        unknown: what the image is, where the decoder may not know it.
        is_cut: whether bytes are missing at its end.

    Raises:
        ImageError: `truncated`, `unsupported`, `corrupt`, `too_many_pixels` or `too_much_memory`.
    """
    try:
        yield
    except MemoryError as error:
        # The image may be harmless and the worker full; but the same image in each retry of its
        # bundle would end the job.
        message = f"there was not enough memory to decode the {name}"
        raise ImageError(FailureCode.TOO_MUCH_MEMORY, message, retryable=True) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"the {name} has more pixels than Pillow's own limit"
        raise ImageError(FailureCode.TOO_MANY_PIXELS, message) from error
    except Exception as error:  # a dozen classes come out of Pillow for bad bytes
        if is_cut or isinstance(error, EOFError) or "truncated" in str(error).lower():
            message = f"the {name} ends too early"
            raise ImageError(FailureCode.TRUNCATED, message) from error
        if unknown:
            message = f"{unknown} is not decoded here"
            raise ImageError(FailureCode.UNSUPPORTED, message) from error
        message = f"the {name} is damaged and cannot be decoded"
        raise ImageError(FailureCode.CORRUPT, message) from error


def _upright_size(opened: ImageFile.ImageFile) -> tuple[int, int]:
    """The size after orientation, as far as it is known before loading."""
    # Without an "exif" a PNG would be loaded to look for it, and a TIFF's size is upright already.
    is_lying = "exif" in opened.info and read_orientation(opened) in LYING
    return (opened.height, opened.width) if is_lying else opened.size


def upright_rgb(
    image: Image.Image, samples: Samples | None = None, *, is_ours: bool = False
) -> Image.Image:
    """An image after its EXIF orientation, as RGB.

    Args:
        image: of any mode, a file's or made in memory; it is loaded, else left as it is.
        samples: what its file says of its grey; None to ask the image.
        is_ours: whether it may be closed where it changes: else three are in memory at once.

    Returns:
        The same object where it is upright and RGB already.

    Raises:
        ImageError: `truncated` or `corrupt`; it cannot be loaded or converted. `unsupported`; it is
            one that Pillow misreads.
    """
    with _blaming_the_image("image"):
        misread = name_misread(image) if samples is None else ""
    if misread:
        message = f"{misread} is misread by Pillow; give its bytes, or it before it is loaded"
        raise ImageError(FailureCode.UNSUPPORTED, message)
    with _blaming_the_image("image"):
        image.load()
        for change in _find_changes(image, samples or describe_opened(image)):
            changed = change(image)
            if is_ours:
                image.close()
            image, is_ours = changed, True
        return image


def _find_changes(
    image: Image.Image, samples: Samples
) -> list[Callable[[Image.Image], Image.Image]]:
    changes: list[Callable[[Image.Image], Image.Image]] = []
    if is_deep_grey(image.mode, samples):
        changes.append(functools.partial(scale_grey, samples=samples))
    if image.mode == "La":  # which Pillow converts to LA only
        changes.append(operator.methodcaller("convert", "LA"))
    method = UPRIGHT.get(read_orientation(image))
    if method is not None:  # the first of them is 0
        changes.append(operator.methodcaller("transpose", method))
    if image.mode != "RGB":
        changes.append(operator.methodcaller("convert", "RGB"))
    return changes
