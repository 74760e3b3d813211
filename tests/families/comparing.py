"""A family's scores beside the reference's, over images of many kinds."""

import dataclasses
import pathlib

import numpy as np
from PIL import Image

from imgcls_beam.elements import ImageRef
from imgcls_beam.listing import list_images
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, InputOptions, ReadOptions
from imgcls_beam.parity import Comparison, compare_with_reference
from imgcls_beam.preparing import load_preparer
from tests.families.making import make_family
from tests.families.table import Family
from tests.scenes import draw_photo, write_photos

_MODES = ("L", "P", "LA", "RGBA", "CMYK", "1")
_SIZES_PX = ((16, 16), (400, 40), (40, 300), (33, 31), (224, 224), (301, 257))


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found of one family.

    Attributes:
        processor: the class that the model's config led to.
        way: `geometry` where images stay uint8, `processor` where the processor is called.
        comparisons: one for each image.
        answers: how many different best labels, and how many different best scores there are.
    """

    processor: str
    way: str
    comparisons: tuple[Comparison, ...]

    @property
    def difference(self) -> float:
        """The largest difference of a score, over all labels of all images."""
        return max(each.difference or 0.0 for each in self.comparisons)


def write_images(folder: pathlib.Path) -> pathlib.Path:
    """Writes 25 images of many sizes, modes and formats; returns the folder."""
    write_photos(folder, 12, seed=3)
    for index, mode in enumerate(_MODES):
        photo = draw_photo(50 + index, (70, 55)).convert(mode)
        photo.save(folder / f"mode-{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    for size_px in _SIZES_PX:
        draw_photo(sum(size_px), size_px).save(folder / f"size-{size_px[0]}-{size_px[1]}.png")
    turned = Image.fromarray(np.asarray(draw_photo(77, (90, 60))))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    return folder


def compare_family(family: Family, images: pathlib.Path, scratch: pathlib.Path) -> Result:
    """Makes the model and classifies every image both ways."""
    folder = make_family(scratch / family.model_class, family)
    source = resolve_model(str(folder), None)
    preparer = load_preparer(source)
    refs = [ref for ref in list_images(InputOptions((str(images),))) if isinstance(ref, ImageRef)]
    found = compare_with_reference(
        refs, ModelOptions(str(folder)), source, ReadOptions(), DecodeOptions()
    )
    return Result(preparer.processor_name, preparer.way, tuple(found))
