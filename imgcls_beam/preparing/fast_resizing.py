"""A resize of a whole image on uint8 in one pass, with the processor's vector instructions.

torch's antialiased resize has Pillow's filters, and rounds to 8 bits between its passes as Pillow
does, with coarser weights: of the same pixels it makes others by one grey level, by two in a few of
100,000, three to seven times as fast.
"""

from PIL import Image

from imgcls_beam.preparing.sizes import PixelBox, Size

_FILTERS = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}
"""Those of Pillow's that torch has too."""

_PIECE_PIXELS = (16 << 20) // 4 - (1 << 16)
"""Pillow keeps an image of up to 16 MiB in one piece, which torch can see without a copy."""

_REDUCING_GAP = 2.0
"""Of larger images whole squares of pixels are averaged first, as far as the filter still sees at
least so many of them for each that it makes."""

_NUDGE = 1 + 1e-9
"""torch finds the size from the factor, and rounds it down."""


def resize_fast(
    image: Image.Image, size: Size, resample: Image.Resampling, box: PixelBox
) -> Image.Image:
    """A part of an image of mode RGB, at (height, width) `size`.

    Args:
        image: of mode RGB.
        size: of the result.
        resample: Pillow's filter.
        box: the part, which is all but less than a pixel of each edge.
    """
    width_height = size[1], size[0]
    if image.size == width_height:
        return image
    is_small = image.width * image.height <= _PIECE_PIXELS
    if is_small and resample in _FILTERS and box[:2] == (0, 0):
        return _resize_by_torch(image, size, _FILTERS[resample], box)
    return image.resize(width_height, resample, box, _REDUCING_GAP)


def _resize_by_torch(image: Image.Image, size: Size, mode: str, box: PixelBox) -> Image.Image:
    import pyarrow as pa  # heavy
    import torch
    from torch.utils.dlpack import from_dlpack

    # Pillow keeps four bytes of each pixel of RGB, the last of them without meaning.
    stored = from_dlpack(pa.array(image).values).reshape(1, image.height, image.width, 4)
    factors = [each * _NUDGE / edge for each, edge in zip(size, box[:1:-1], strict=True)]
    resize = torch.nn.functional.interpolate
    resized = resize(stored.permute(0, 3, 1, 2), scale_factor=factors, mode=mode, antialias=True)
    pixels = resized[0].permute(1, 2, 0).contiguous()
    mapped = Image.frombuffer("RGBX", (size[1], size[0]), pixels.numpy(), "raw", "RGBX", 0, 1)
    return mapped.convert("RGB")
