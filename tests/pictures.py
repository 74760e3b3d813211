"""Small pictures in every encoding, and hostile ones, made in code."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image

from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import DecodedImage, try_decode

JPEG2000_OF_16_BITS = (
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAw8HAAAAAAAP"
    "Y29scgEAAAAAABAAAAJTanAyY/9P/1EALwAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAw8BAQ8B"
    "AQ8BAf9SAAwAAAABAQAEBAAB/1wABECA/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AA"
    "CgAAAAAB2wAB/5PD/wBDgBQAK3odJ9rg1RCVea+K9VGFBApIpAgG6MnFm++IZLjZx4DOVon85B4nLwoxKHR5UwZS"
    "2CmtIAKgGBXU5dV5rz7zXn3Qphuv6Vx3Yjw4a9WNvnALga/33FiHxhF4BPiUmIfF+IvMiG5EEo+KLqlzV0JnAnaF"
    "bdorANxmqKz8xviLWGKgoCKsL9/4lIgSjjU2Z4cfXV2o98VPLc9cExCGlHWleCPkgNIb3JKq08NEUXgmJSc6NCIq"
    "qqqqw6sAAAAAZgFAAAAAQIC4zMgAYSEtBb7OEbwNCWfmZmZmK7n/f/+ACQA//3//enGJSc5znOc5znOc5znOep/P"
    "t0UWa242ChryFDUpxLARnUTUnIKPCSmfqJgNT3pu81DmZ8s/3/iVQBFPB7OqiVeEelQEzsX+SPQPYzYnFxFUASMZ"
    "arxs3RAYsjJaA5fqaFbq/bsP3IB0UqxUlZpmJwjlXO+RsrN9ul0/MuGe9GVjqHNSKrjouGG/uh9oIVAnU4faD7Qq"
    "WsvK30pUyN7dXXzfLI3zMPoWiyEpR+g+4m+qSJ36xlIWd+LUguW4IxjK0nM/ZTqPPHeeLvXQjT6DeHUjAD14R00N"
    "FYZl2O5i8UPDv//Z"
)
"""RGB from black to white, 12 × 8, by imagecodecs: Pillow writes none."""

SIZE_PX = (46, 30)


def draw_picture(size_px: tuple[int, int] = SIZE_PX) -> Image.Image:
    """Colours that change along both edges, with noise in one corner: no two turns look alike."""
    width_px, height_px = size_px
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    pixels = np.stack([columns * 5, rows * 7, columns + rows * 3], axis=-1) % 256
    corner = np.random.default_rng(7).integers(0, 256, (height_px // 2, width_px // 3, 3))
    pixels[: height_px // 2, : width_px // 3] = corner
    return Image.fromarray(pixels.astype(np.uint8))


def assert_equal(ours: Image.Image, theirs: Image.Image) -> None:
    """Ours is RGB, and every pixel is theirs."""
    assert (ours.mode, ours.size) == ("RGB", theirs.size)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """One picture in one format."""
    buffer = io.BytesIO()
    if "append_images" in options:
        options["append_images"] = [each.copy() for each in options["append_images"]]
    if kind == "HEIF":  # not registered with Pillow, lest the reference read it, too
        pillow_heif.from_pillow(image).save(buffer, **options)
        return buffer.getvalue()
    # Pillow leaves the settings of one encoder on the image, where the next one trips on them.
    image.copy().save(buffer, kind, **options)
    return buffer.getvalue()


def decode(data: bytes) -> DecodedImage:
    """What becomes of an image that can be decoded."""
    decoded = try_decode(data, DecodeOptions())
    assert isinstance(decoded, DecodedImage), decoded.error
    return decoded


def exif_block(orientation: int) -> bytes:
    """An EXIF block with nothing but an orientation."""
    tag = struct.pack("<HHLHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag + b"\0\0\0\0"


def tag_bomb(tags: int, size_bytes: int) -> bytes:
    """A TIFF directory whose every tag points at the same bytes."""
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", tags)
    body = [struct.pack("<HHLL", 1000 + i, 7, size_bytes - 8, 8) for i in range(tags)]
    return (head + b"".join(body) + b"\0\0\0\0").ljust(size_bytes, b"\0")


def with_jpeg_segments(data: bytes, marker: int, *bodies: bytes) -> bytes:
    """A JPEG with more segments at its beginning."""
    head = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for body in bodies)
    return data[:2] + head + data[2:]


def jpeg_without_density(image: Image.Image) -> bytes:
    """A JPEG without JFIF's own segment, so that Pillow looks into its EXIF when it opens it."""
    data = encode(image, "JPEG")
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(size_px: tuple[int, int], *more: bytes) -> bytes:
    """A PNG of RGBA that declares a size and holds ten bytes of pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size_px, 8, 6, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(10)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixels + png_chunk(b"IEND", b"")


def animated_png_of(size_px: tuple[int, int]) -> bytes:
    """Its first frame is to be disposed of: Pillow fills the whole canvas when it opens it."""
    control = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 1, 1, 0)
    return png_of(
        size_px, png_chunk(b"acTL", struct.pack(">II", 2, 0)), png_chunk(b"fcTL", control)
    )


def gif_of(size_px: tuple[int, int], before: bytes = b"") -> bytes:
    """A canvas of 1 × 1 and a frame of another size, to be disposed of."""
    head = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff"
    control = b"!\xf9\x04\x08\0\0\0\0"
    frame = struct.pack("<HHHHB", 0, 0, *size_px, 0)
    return head + before + control + b"," + frame + b"\x02\x02L\x01\0;"


def webp_lossless_of(size_px: tuple[int, int]) -> bytes:
    """34 bytes."""
    bits = (size_px[0] - 1) | (size_px[1] - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + bytes(9)
    return b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + struct.pack("<I", 13) + body


def webp_extended_of(size_px: tuple[int, int]) -> bytes:
    """34 bytes, of which ten are a canvas."""
    edges = b"".join((edge_px - 1).to_bytes(3, "little") for edge_px in size_px)
    body = b"\x02\0\0\0" + edges + bytes(4)
    return b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8X" + struct.pack("<I", 10) + body


def bmp_of(size_px: tuple[int, int]) -> bytes:
    """54 bytes: a header of 24 bits a pixel, and no pixel. A negative height goes down."""
    header = struct.pack("<IiiHHIIiiII", 40, *size_px, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def jpeg_of(size_px: tuple[int, int]) -> bytes:
    """A small JPEG whose header declares another size."""
    data = encode(draw_picture(), "JPEG")
    declared = struct.pack(">HH", *SIZE_PX[::-1])
    return data.replace(declared, struct.pack(">HH", *size_px[::-1]), 1)


def tiff_of(size_px: tuple[int, int], tile_px: tuple[int, int]) -> bytes:
    """A tiled TIFF, deflated, grey."""
    pixels = zlib.compress(bytes(1000))
    tags = [(256, size_px[0]), (257, size_px[1]), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, tile_px[0]), (323, tile_px[1]), (324, 8), (325, len(pixels))]
    entries = b"".join(struct.pack("<HHLL", number, 4, 1, value) for number, value in tags)
    count = struct.pack("<H", len(tags))
    return b"II*\0" + struct.pack("<L", 8 + len(pixels)) + pixels + count + entries + bytes(4)


def jpeg2000_with_tiles(size_px: tuple[int, int], tile_px: tuple[int, int]) -> bytes:
    """A bare codestream that declares tiles of another size than it has."""
    data = bytearray(encode(Image.new("L", size_px), "JPEG2000", no_jp2=True))
    data[24:32] = struct.pack(">II", *tile_px)
    return bytes(data)


def jpeg_with_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encode(draw_picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * (scans - data[:last].count(b"\xff\xda")) + data[-2:]


_ADAM7 = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4)),
    *((0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
)
"""First row and column of each pass of an interlaced PNG, and the steps to the next ones."""


def png_of_samples(samples: npt.NDArray[Any], colour: int, lace: int = 0) -> bytes:
    """A PNG of samples of shape (H, W, C), in their byte order; of one of PNG's colour types."""
    passes = [samples[top::down, left::right] for top, left, down, right in _ADAM7]
    rows = [b"\0" + row.tobytes() for each in (passes if lace else [samples]) for row in each]
    size_px = samples.shape[1], samples.shape[0]
    header = struct.pack(">IIBBBBB", *size_px, samples.itemsize * 8, colour, 0, 0, lace)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)
