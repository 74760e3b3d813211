"""Folders of seeded pictures, good and bad."""

import io
import pathlib

import numpy as np
from PIL import Image

FORMATS = (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("bmp", "BMP"), ("gif", "GIF"))
BROKEN: dict[str, bytes] = {
    "empty.jpg": b"",
    "page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "noise.png": bytes(range(256)),
}


def draw_photo(seed: int, size_px: tuple[int, int] | None = None) -> Image.Image:
    """Smooth colours with a hard edge; each seed another picture, mode RGB."""
    rng = np.random.default_rng(seed)
    width_px, height_px = size_px or tuple(rng.integers(24, 240, 2))
    coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    photo = Image.fromarray(coarse).resize(
        (int(width_px), int(height_px)), Image.Resampling.BICUBIC
    )
    corner = (int(width_px) // 2, int(height_px) // 3)
    photo.paste(tuple(int(each) for each in rng.integers(0, 256, 3)), (0, 0, *corner))
    return photo


def encode(image: Image.Image, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def write_photos(folder: pathlib.Path, count: int, seed: int = 0) -> list[pathlib.Path]:
    """Writes photos of five formats in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(count):
        suffix, kind = FORMATS[index % len(FORMATS)]
        path = folder / f"{index:04d}.{suffix}"
        path.write_bytes(encode(draw_photo(seed * 100_000 + index), kind))
        paths.append(path)
    return paths


def write_slow(folder: pathlib.Path, size_px: tuple[int, int], count: int = 150) -> None:
    """Writes one large picture many times: together they take seconds."""
    data = encode(draw_photo(1, size_px), "PNG")
    for index in range(count):
        (folder / f"{index:03}.png").write_bytes(data)


def write_broken(folder: pathlib.Path, count: int = 5) -> list[pathlib.Path]:
    """Writes files that are named as images and are none: empty, a page, noise, cut ones."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = encode(draw_photo(999, (200, 200)))
    contents = [*BROKEN.items(), ("cut.jpg", whole[: len(whole) // 2]), ("stub.jpg", whole[:20])]
    paths = []
    for index in range(count):
        name, content = contents[index % len(contents)]
        path = folder / f"broken-{index}-{name}"
        path.write_bytes(content)
        paths.append(path)
    return paths
