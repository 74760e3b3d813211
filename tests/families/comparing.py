"""A family's scores beside the reference's, over images of many kinds."""

import dataclasses
import pathlib

import numpy as np
import torch
from PIL import Image
from transformers import pipeline

from imgcls_beam.elements import ImageRef
from imgcls_beam.listing import list_images
from imgcls_beam.model_options import Engine, ModelOptions
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, InputOptions, ReadOptions
from imgcls_beam.parity import Comparison, compare_with_reference
from imgcls_beam.preparing import load_preparer
from imgcls_beam.preparing.processor_loading import load_processor
from tests.families.making import make_family
from tests.families.table import Family
from tests.scenes import draw_photo, write_photos

_MODES = ("L", "P", "LA", "RGBA", "CMYK", "1")
_SIZES_PX = ((16, 16), (400, 40), (40, 300), (33, 31), (224, 224), (301, 257))


_COLOURS = {
    **{"black": (0, 0, 0), "blue": (40, 90, 150), "grey": (60, 60, 60)},
    "graphic": (236, 231, 219),
}
_DRAWS = 16


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found of one family.

    Attributes:
        processor: the class that the model's config led to.
        way: `geometry` where images stay uint8, `processor` where the processor is called.
        comparisons: one for each image.
        rounding_of: how far the reference's own scores lie apart where pixels move by one rounding,
            by URI, of images whose scores differ by more than `TOLERANCE`.
    """

    processor: str
    way: str
    comparisons: tuple[Comparison, ...]
    rounding_of: dict[str, float]

    @property
    def difference(self) -> float:
        """The largest difference of a score, over all labels of all images."""
        return max(each.difference or 0.0 for each in self.comparisons)

    @property
    def rounding(self) -> float:
        """The model's own rounding, as far as it had to be measured."""
        return max(self.rounding_of.values(), default=0.0)

    def find_different(self) -> list[Comparison]:
        """Images whose scores differ by more than 1e-5 and more than the model's own rounding."""
        return [
            each
            for each in self.comparisons
            if not each.is_equal and not (each.difference or 1.0) <= self.rounding_of[each.uri]
        ]


def write_images(folder: pathlib.Path) -> pathlib.Path:
    """Writes 29 images of many sizes, modes and formats, flat ones too; returns the folder."""
    write_photos(folder, 12, seed=3)
    for index, mode in enumerate(_MODES):
        photo = draw_photo(50 + index, (70, 55)).convert(mode)
        photo.save(folder / f"mode-{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    for size_px in _SIZES_PX:
        draw_photo(sum(size_px), size_px).save(folder / f"size-{size_px[0]}-{size_px[1]}.png")
    for name, colour in _COLOURS.items():
        sheet = Image.new("RGB", (80, 60), colour)
        if name == "graphic":
            sheet.paste((40, 44, 92), (10, 10, 34, 30))
        sheet.save(folder / f"flat-{name}.png")
    turned = Image.fromarray(np.asarray(draw_photo(77, (90, 60))))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    return folder


def compare_family(family: Family, images: pathlib.Path, scratch: pathlib.Path) -> Result:
    """Makes the model and classifies every image both ways."""
    return compare_folder(make_family(scratch / family.model_class, family), images)


def compare_folder(folder: pathlib.Path, images: pathlib.Path, engine: Engine = "torch") -> Result:
    """Classifies every image of a folder both ways.

    Raises:
        ModelError: the engine cannot run the model.
    """
    source = resolve_model(str(folder), None)
    preparer = load_preparer(source)
    refs = [ref for ref in list_images(InputOptions((str(images),))) if isinstance(ref, ImageRef)]
    found = compare_with_reference(
        refs, ModelOptions(str(folder), engine=engine), source, ReadOptions(), DecodeOptions()
    )
    rounding_of = {
        each.uri: measure_rounding(folder, each.uri) for each in found if not each.is_equal
    }
    return Result(preparer.processor_name, preparer.way, tuple(found), rounding_of)


def measure_rounding(folder: pathlib.Path, uri: str) -> float:
    """How far the library's own scores of an image move where pixels move by one rounding."""
    source = resolve_model(str(folder), None)
    reference = pipeline(
        "image-classification",
        model=str(folder),
        image_processor=load_processor(source),
        device="cpu",
    )
    inputs = dict(reference.preprocess(uri.removeprefix("file://")))
    pixels = inputs["pixel_values"].to(torch.float32)
    # Of the arithmetic that makes them: a value near 0 is the difference of two that are not.
    step = torch.finfo(torch.float32).eps * pixels.abs().max()
    ways = torch.Generator().manual_seed(0)
    scores = []
    with torch.inference_mode():
        for draw in range(_DRAWS + 1):
            steps = torch.randint(-1, 2, pixels.shape, generator=ways) * bool(draw)
            moved = pixels + steps * step
            logits = reference.model(**{**inputs, "pixel_values": moved}).logits
            scores.append(logits.softmax(dim=1))
    return max(float((each - scores[0]).abs().max()) for each in scores)
