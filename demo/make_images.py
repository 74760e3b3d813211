"""Writes the demo's pictures: 27 that can be read, in many encodings, and 3 that cannot.

Run from the repository root: `python -m demo.make_images`.
"""

import argparse
import dataclasses
import io
import pathlib
import sys
from collections.abc import Callable

import numpy as np
from PIL import Image

from demo.draw import LABELS, draw_picture

IMAGES_DIR = pathlib.Path(__file__).parent / "images"
IMAGES_SEED = 3
ORIENTATION_TAG = 0x0112
# What EXIF calls "row 0 is the right side": a viewer turns the stored picture clockwise once.
ORIENTATION_TURN_CLOCKWISE = 6
OPACITY_RANGE = (96, 255)
FRAME_MS = 400
PAGE = """<!doctype html>
<title>404 Not Found</title>
<p>The picture that you asked for is not here.</p>
"""

Encode = Callable[[Image.Image, np.random.Generator], bytes]


def _saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def _baseline(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture, "JPEG", quality=85)


def _progressive(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture, "JPEG", quality=85, progressive=True)


def _turned(picture: Image.Image, _: np.random.Generator) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = ORIENTATION_TURN_CLOCKWISE
    counterclockwise = picture.transpose(Image.Transpose.ROTATE_90)
    return _saved(counterclockwise, "JPEG", quality=85, exif=exif)


def _cmyk(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture.convert("CMYK"), "JPEG", quality=85)


def _png(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture, "PNG", optimize=True)


def _palette(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture.quantize(32), "PNG", optimize=True)


def _greyscale(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture.convert("L"), "PNG", optimize=True)


def _alpha(picture: Image.Image, _: np.random.Generator) -> bytes:
    # The colours stay whole below the opacity, so that the figure is there with or without it.
    opacity = np.linspace(*OPACITY_RANGE, picture.width).round().astype(np.uint8)
    mask = Image.fromarray(np.tile(opacity, (picture.height, 1)))
    see_through = picture.copy()
    see_through.putalpha(mask)
    return _saved(see_through, "PNG", optimize=True)


def _webp(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture, "WEBP", quality=80)


def _webp_lossless(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture, "WEBP", lossless=True)


def _gif(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture.quantize(32), "GIF")


def _animated(picture: Image.Image, rng: np.random.Generator) -> bytes:
    # The later frames show other figures: a reader that takes any but the first is found out.
    frames = [draw_picture(label, rng, picture.size) for label in ("waves", "circle")]
    first, *later = [frame.quantize(32) for frame in (picture, *frames)]
    return _saved(first, "GIF", save_all=True, append_images=later, duration=FRAME_MS, loop=0)


def _bmp(picture: Image.Image, _: np.random.Generator) -> bytes:
    return _saved(picture, "BMP")


ENCODINGS: dict[str, tuple[str, Encode]] = {
    "baseline": ("jpg", _baseline),
    "progressive": ("jpg", _progressive),
    "turned": ("jpg", _turned),
    "cmyk": ("jpg", _cmyk),
    "plain": ("png", _png),
    "palette": ("png", _palette),
    "greyscale": ("png", _greyscale),
    "alpha": ("png", _alpha),
    "lossy": ("webp", _webp),
    "lossless": ("webp", _webp_lossless),
    "still": ("gif", _gif),
    "animated": ("gif", _animated),
    "bitmap": ("bmp", _bmp),
}


@dataclasses.dataclass(frozen=True, slots=True)
class DemoImage:
    """One picture of the demo: what it shows, how large, and how it is encoded."""

    label: str
    encoding: str
    width_px: int
    height_px: int


# The large ones are JPEG or lossy WebP: noise makes any other encoding of them heavy.
DEMO_IMAGES = (
    DemoImage("checkerboard", "baseline", 640, 480),
    DemoImage("circle", "progressive", 480, 640),
    DemoImage("cross", "turned", 240, 360),
    DemoImage("dots", "cmyk", 320, 240),
    DemoImage("ring", "plain", 160, 120),
    DemoImage("square", "palette", 200, 200),
    DemoImage("star", "greyscale", 180, 240),
    DemoImage("stripes", "alpha", 200, 150),
    DemoImage("triangle", "lossy", 800, 600),
    DemoImage("waves", "lossless", 150, 200),
    DemoImage("checkerboard", "still", 200, 160),
    DemoImage("circle", "bitmap", 96, 128),
    DemoImage("cross", "baseline", 1024, 768),
    DemoImage("dots", "progressive", 400, 300),
    DemoImage("ring", "lossy", 300, 400),
    DemoImage("square", "animated", 160, 160),
    DemoImage("star", "progressive", 768, 1024),
    DemoImage("stripes", "plain", 96, 144),
    DemoImage("triangle", "palette", 240, 180),
    DemoImage("waves", "baseline", 512, 512),
    DemoImage("checkerboard", "bitmap", 80, 80),
    DemoImage("circle", "lossless", 144, 108),
    DemoImage("cross", "greyscale", 150, 200),
    DemoImage("dots", "lossy", 240, 320),
    DemoImage("ring", "still", 180, 180),
    DemoImage("star", "plain", 128, 96),
    DemoImage("triangle", "baseline", 360, 480),
)


def _good_images(seed: int) -> dict[str, bytes]:
    files = {}
    for number, image in enumerate(DEMO_IMAGES, start=1):
        rng = np.random.default_rng([seed, number])
        picture = draw_picture(image.label, rng, (image.width_px, image.height_px))
        extension, encode = ENCODINGS[image.encoding]
        name = f"{image.label}-{number:02d}-{image.encoding}.{extension}"
        files[name] = encode(picture, rng)
    return files


def _broken_images(seed: int) -> dict[str, bytes]:
    rng = np.random.default_rng([seed, 0])
    whole = _baseline(draw_picture(LABELS[0], rng, (320, 240)), rng)
    return {
        "broken-truncated.jpg": whole[: len(whole) // 2],
        "broken-empty.png": b"",
        "broken-page.jpg": PAGE.encode(),
    }


def demo_files(seed: int = IMAGES_SEED) -> dict[str, bytes]:
    """Every file of the demo: its name, which begins with its label or `broken`, and its bytes.

    Args:
        seed: of the drawings, 0 or more.

    Returns:
        27 pictures that can be read and 3 that cannot, the same ones for the same seed.
    """
    return _good_images(seed) | _broken_images(seed)


def main(words: list[str] | None = None) -> int:
    """Write the demo's files; what else lies in the folder stays. Always 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=IMAGES_DIR, help="the images' folder")
    parser.add_argument("--seed", type=int, default=IMAGES_SEED, help="of the drawings")
    arguments = parser.parse_args(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = demo_files(arguments.seed)
    for name, content in files.items():
        (arguments.out / name).write_bytes(content)
    sizes = sum(map(len, files.values()))
    sys.stdout.write(f"wrote {len(files)} files, {sizes:,} bytes, to {arguments.out.name}/\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
