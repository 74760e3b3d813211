"""Formats, modes and damage."""

import functools
from collections.abc import Callable
from typing import Any

from PIL import Image

from imgcls_beam.options import DecodeOptions
from tests.edges import files
from tests.edges.case import ANSWERS, OTHER, PHOTO, SAME, Difference, table
from tests.pictures import encode, gif_of, jpeg_with_scans
from tests.pictures import png_of as bomb_png_of
from tests.scenes import draw_photo

_OTHER = draw_photo(4, PHOTO.size)
_FRAMES = {"save_all": True, "append_images": [_OTHER]}

DEEP_GREY = Difference(
    "Grey of more than 8 bits",
    "Grey of 16 and 32 bits is scaled to 8 bits, from black to its white point: what the file "
    "says, else the highest value of the smallest of 8, 10, 12, 14 and 16 bits that holds all its "
    "values. Pillow's conversion, which the reference takes, cuts off at 255: nearly every pixel "
    "of such an image becomes white. Values of 8 bits in a file of 16 are the same to both.",
)
MISREAD = Difference(
    "Pixels that Pillow misreads",
    "Pillow gives other numbers than the file has, and no error: 0 as black where it is white, "
    "bytes in the wrong order, channels that lie apart as if they were of 8 bits, a palette of 8 "
    "bits as if it were of 16, white of deep colour in a JPEG 2000 as black. Here they are read as "
    "they are. A palette is of 8 bits by the rule of libtiff's own tools, no entry above 255; so "
    "one of 16 bits whose colours are all as dark as that is brightened, as they do.",
)
METADATA = Difference(
    "Much beside the pixels",
    "Of metadata a decoder sees only what turns the image. The reference refuses a good PNG for a "
    "profile or a text that is larger than 1 MiB unpacked, and a JPEG 2000 for a box of that size.",
)
HEIC = Difference("HEIC", "HEIF is decoded with the extra `[heic]`; it is not part of Pillow.")
NOT_ITSELF = Difference(
    "Files that hold more than Pillow sees",
    "Of a camera's raw file Pillow reads the small picture in front, and it takes CIELAB in "
    "separate planes, inks other than CMYK and BGR for what they are not. They are refused, by "
    "name.",
)
NOT_DECODED = Difference(
    "Formats that are not decoded",
    "Decoded are JPEG, PNG, WebP, GIF, AVIF, BMP, TIFF, JPEG 2000 and PNM, by their first bytes. "
    "Each of Pillow's other decoders is one more way in for hostile bytes, and they read icons, "
    "textures and drawings, not photographs.",
)
LIMITS = Difference(
    "Limits of pixels and scans",
    "An image beyond the limit of pixels or of JPEG scans is refused before it is decoded, since "
    "one small file may otherwise take a worker's memory or time. The limits are options.",
)


def _encoder(kind: str) -> Callable[..., Callable[[], bytes]]:
    def make(image: Image.Image = PHOTO, **options: Any) -> Callable[[], bytes]:
        return functools.partial(encode, image, kind, **options)

    return make


_jpeg, _png, _gif, _webp, _tiff, _bmp, _avif, _pnm, _jp2 = map(
    _encoder, ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "PPM", "JPEG2000")
)
_GREY, _BILEVEL, _PALETTE = PHOTO.convert("L"), PHOTO.convert("1"), PHOTO.quantize(30)
_CMYK, _ALPHA = PHOTO.convert("CMYK"), files.ALPHA

_format = table("formats")
_deep = table("formats", ours=OTHER, difference=DEEP_GREY)
_misread = table("formats", ours=OTHER, difference=MISREAD)
_metadata = table("formats", "ValueError", ANSWERS, METADATA)
_not_itself = table("formats", ours="unsupported", difference=NOT_ITSELF)
_other = table("formats", ours="unsupported", difference=NOT_DECODED)
_unknown = table("formats", ours="not_an_image", difference=NOT_DECODED)
_no_image = table("no images", reference="UnidentifiedImageError", ours="not_an_image")
_damage = table("damage", reference="OSError", ours="truncated")


def _cut(make: Callable[[], bytes], less_bytes: int) -> Callable[[], bytes]:
    return lambda: make()[:-less_bytes]


FORMATS = (
    _format("JPEG, baseline", image=_jpeg()),
    _format("JPEG, progressive", image=_jpeg(progressive=True)),
    _format("JPEG, grey", image=_jpeg(_GREY)),
    _format("JPEG, CMYK", image=_jpeg(_CMYK)),
    _format("JPEG, YCCK", image=functools.partial(files.jpeg_with, b"Adobe", 11, 2)),
    _format("JPEG, RGB without YCbCr", image=_jpeg(keep_rgb=True)),
    _format("JPEG, full chroma", image=_jpeg(subsampling=0)),
    _format("JPEG, quality 1", image=_jpeg(quality=1)),
    _format("JPEG, a thumbnail in its EXIF", image=files.jpeg_with_thumbnail),
    _format("JPEG, an ICC profile", image=_jpeg(icc_profile=files.colour_profile("sRGB"))),
    _format("JPEG, an ICC profile of XYZ", image=_jpeg(icc_profile=files.colour_profile("XYZ"))),
    _format("MPO of two", image=lambda: encode(PHOTO, "MPO", **_FRAMES)),
    _format("PNG, bilevel", image=_png(_BILEVEL)),
    _format("PNG, grey", image=_png(_GREY)),
    _format("PNG, grey and alpha", image=_png(_ALPHA.convert("LA"))),
    _format("PNG, palette", image=_png(_PALETTE)),
    _format("PNG, palette with one clear colour", image=_png(_PALETTE, transparency=3)),
    _format("PNG, palette with alpha", image=_png(_PALETTE, transparency=bytes(range(0, 240, 8)))),
    _format("PNG, RGB and alpha", image=_png(_ALPHA)),
    _format("PNG, RGB with one clear colour", image=_png(transparency=(1, 2, 3))),
    _format(
        "PNG, grey with one clear level", image=lambda: files.png_with(b"tRNS", b"\0\x10", _GREY)
    ),
    _format("PNG, 16-bit RGB", image=files.png_16_bit_rgb),
    _format("PNG, interlaced", image=files.png_interlaced),
    _format("PNG, a gamma", image=lambda: files.png_with(b"gAMA", b"\0\1\x86\xa0")),
    _format("PNG, an ICC profile that is none", image=_png(icc_profile=b"rubbish")),
    _format("PNG, animated", image=_png(**_FRAMES)),
    _format("PNG, animated, with a still image", image=_png(default_image=True, **_FRAMES)),
    _format("PNG named as a JPEG", image=_png()),
    _format("GIF", image=_gif()),
    _format("GIF, animated", image=_gif(**_FRAMES)),
    _format("GIF, one clear colour", image=_gif(_PALETTE, transparency=2)),
    _format("GIF, local palette", image=files.gif_with_local_palette),
    _format("WebP, lossy", image=_webp()),
    _format("WebP, lossless", image=_webp(lossless=True)),
    _format("WebP, alpha", image=_webp(_ALPHA)),
    _format("WebP, animated", image=_webp(**_FRAMES)),
    _format("AVIF", image=_avif()),
    _format("AVIF, alpha", image=_avif(_ALPHA)),
    _format("AVIF, animated", image=_avif(**_FRAMES)),
    _format("TIFF", image=_tiff()),
    _format("TIFF of two pages", image=_tiff(**_FRAMES)),
    _format("TIFF, big-endian", image=files.tiff_big_endian),
    _format(
        "TIFF, its mark the wrong way round",
        image=lambda: files.tiff_big_endian().replace(b"MM\0*", b"MM*\0"),
    ),
    _format("TIFF, BigTIFF", image=_tiff(big_tiff=True)),
    _format("TIFF, LZW", image=_tiff(compression="tiff_lzw")),
    _format("TIFF, JPEG inside", image=_tiff(compression="jpeg")),
    _format("TIFF, fax", image=_tiff(_BILEVEL, compression="group4")),
    _format("TIFF, CMYK", image=_tiff(_CMYK)),
    _format("TIFF, CIELAB", image=_tiff(PHOTO.convert("LAB"))),
    _format("TIFF, alpha", image=_tiff(_ALPHA)),
    _format("TIFF, float32 up to 255", image=_tiff(PHOTO.convert("F"))),
    _format("BMP", image=_bmp()),
    _format("BMP, 32 bits", image=_bmp(_ALPHA)),
    _format("BMP, bilevel", image=_bmp(_BILEVEL)),
    _format("BMP, run lengths", image=files.bmp_of_runs),
    _format("BMP, 16 bits", image=lambda: files.bmp_of((8, 4), 16, 0, bytes(range(64)))),
    _format("BMP, from the top", image=lambda: files.bmp_of((4, -4), 24, 0, bytes(range(48)))),
    _format("JPEG 2000", image=_jp2()),
    _format("JPEG 2000, bare", image=_jp2(_GREY, no_jp2=True)),
    _format("PPM", image=_pnm()),
    _format("PPM in digits", image=lambda: b"P3 2 1 255\n255 0 0 0 99 0\n"),
    _format("PPM, 100 levels", image=lambda: b"P6 2 2 100\n" + bytes(range(12))),
    _format("PFM up to 255", image=_pnm(PHOTO.convert("F"))),
    _format("PBM", image=_pnm(_BILEVEL)),
    _deep("PNG, 16-bit grey", image=_png(files.GREY_16)),
    _deep("TIFF, 16-bit grey", image=_tiff(files.GREY_16)),
    _deep("TIFF, 32-bit grey", image=_tiff(files.GREY_32)),
    _deep("TIFF, float32 up to 1", image=_tiff(files.GREY_RATIO)),
    _deep("PGM, 16 bits", image=_pnm(files.GREY_16)),
    _deep("JPEG 2000, 16-bit grey", image=_jp2(files.GREY_16)),
    _other("ICO", image=lambda: encode(PHOTO, "ICO")),
    _other("ICNS", image=lambda: encode(PHOTO.resize((64, 64)), "ICNS")),
    _other("TGA", image=lambda: encode(PHOTO, "TGA")),
    _other("PCX", image=lambda: encode(PHOTO, "PCX")),
    _other("SGI", image=lambda: encode(PHOTO, "SGI")),
    _other("DDS", image=lambda: encode(_ALPHA, "DDS")),
    _other("QOI", image=lambda: encode(PHOTO, "QOI")),
    _other("XBM", image=lambda: encode(_BILEVEL, "XBM")),
    _other("Photoshop", image=files.psd_of_rgb),
    _unknown("DIB, a BMP without its head", image=lambda: encode(PHOTO, "DIB")),
    _unknown("IM", image=lambda: encode(PHOTO, "IM")),
    _format("HEIC", "UnidentifiedImageError", ANSWERS, HEIC, image=lambda: encode(PHOTO, "HEIF")),
    _format("JPEG XL", "UnidentifiedImageError", "unsupported", image=lambda: b"\xff\x0a\xfa\x1f"),
    _format("PNG, 8 bits of 16", image=_png(Image.fromarray(files.GREY_16_LEVELS // 257))),
    _format("TIFF, 8 bits of 16", image=_tiff(Image.fromarray(files.GREY_16_LEVELS // 257))),
    _format("PNG, 16-bit grey and alpha", image=files.png_16_bit_grey_and_alpha),
    _deep("PNG, 12 bits of 16", image=_png(Image.fromarray(files.GREY_16_LEVELS // 16))),
    _deep("PGM up to 1000", image=files.pgm_up_to_1000),
    _format("TIFF, 8 bits, 0 is white", image=lambda: files.tiff_of_grey(0, 8)),
    _misread("TIFF, 16 bits, 0 is white", image=lambda: files.tiff_of_grey(0, 16)),
    _format(
        "TIFF, 16 bits, big-endian, 0 is white",
        "UnidentifiedImageError",
        ANSWERS,
        MISREAD,
        image=lambda: files.tiff_of_grey(0, 16, is_big=True),
    ),
    _misread(
        "TIFF, float32, big-endian, deflated",
        image=lambda: files.tiff_of_grey(1, 32, number=3, is_big=True, is_packed=True),
    ),
    _misread("TIFF, 16-bit RGB, channels apart", image=files.tiff_with_channels_apart),
    _misread("TIFF, YCbCr without a JPEG", image=files.tiff_of_ycbcr),
    _misread("TIFF, a palette of 8 bits", image=files.tiff_with_palette_of_8_bits),
    _misread("JPEG 2000, 16-bit RGB", image=files.jpeg2000_of_16_bits),
    _misread("JPEG 2000, 4-bit grey", image=files.jpeg2000_of_4_bits),
    _metadata(
        "PNG, a profile of 2 MiB", image=lambda: encode(PHOTO, "PNG", icc_profile=bytes(2 << 20))
    ),
    _metadata("PNG, a text of 2 MiB", image=files.png_with_long_text),
    _metadata("JPEG 2000, a box of 2 MiB", "OSError", image=files.jpeg2000_with_long_box),
    _not_itself("a camera's raw file", image=files.raw_with_a_small_picture),
    _not_itself("TIFF, CIELAB apart", image=files.tiff_of_cielab_apart),
    _not_itself("JPEG 2000, BGR", image=files.jpeg2000_of_bgr),
)

NO_IMAGES = (
    _no_image("no bytes", ours="empty", image=lambda: b""),
    _no_image("HTML", image=lambda: b"<!DOCTYPE html><html>404 Not Found</html>"),
    _no_image("SVG", image=lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    _no_image("PDF", image=lambda: encode(PHOTO, "PDF")),
    _no_image("text", image=lambda: b"no image at all"),
    _no_image("JSON", image=lambda: b'{"error": "not found"}'),
    _no_image("a zip archive", image=lambda: b"PK\x03\x04" + bytes(40)),
    _no_image("a gzip file", image=lambda: b"\x1f\x8b\x08" + bytes(40)),
    _no_image("a video", image=lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(40)),
    _no_image("zeros", image=lambda: bytes(600)),
    _no_image("every byte once", image=lambda: bytes(range(256))),
    _no_image("a line end before a JPEG", image=lambda: b"\n" + encode(PHOTO, "JPEG")),
    _no_image(
        "a byte order mark before a PNG", image=lambda: b"\xef\xbb\xbf" + encode(PHOTO, "PNG")
    ),
)

DAMAGE = (
    _damage("JPEG, its last half missing", image=_cut(_jpeg(), 1000)),
    _damage("JPEG, its end mark missing", image=_cut(_jpeg(), 2)),
    _damage("JPEG, progressive, cut", image=_cut(_jpeg(progressive=True), 900)),
    _damage("PNG, cut", image=_cut(_png(), 200)),
    _damage("GIF, cut", image=_cut(_gif(), 300)),
    _damage("GIF, a frame beyond its canvas", image=lambda: gif_of((3, 3))),
    _damage("WebP, cut", image=_cut(_webp(), 50)),
    _damage("TIFF, cut", image=_cut(_tiff(), 500)),
    _damage("BMP, cut", image=_cut(_bmp(), 300)),
    _damage("JPEG 2000, cut", image=_cut(_jp2(), 500)),
    _damage("AVIF, cut", "SyntaxError", image=_cut(_avif(), 50)),
    _damage("three bytes of a JPEG", "UnidentifiedImageError", image=lambda: b"\xff\xd8\xff"),
    _damage(
        "eight bytes of a PNG", "UnidentifiedImageError", image=lambda: encode(PHOTO, "PNG")[:8]
    ),
    _damage("PNG, a wrong checksum", ours="corrupt", image=files.png_with_bad_checksum),
    _damage(
        "JPEG of 12 bits",
        "UnidentifiedImageError",
        "unsupported",
        image=functools.partial(files.jpeg_with, b"\xff\xc0", 4, 12),
    ),
    _damage("PNG, its end chunk missing", ANSWERS, SAME, image=_cut(_png(), 12)),
    _damage("JPEG, rubbish behind", ANSWERS, SAME, image=lambda: _jpeg()() + b"more" * 99),
    _damage("PNG, zeros behind", ANSWERS, SAME, image=lambda: _png()() + bytes(99)),
    _damage(
        "more pixels than the limits",
        "DecompressionBombError",
        "too_many_pixels",
        image=lambda: bomb_png_of((20_000, 20_000)),
    ),
    _damage(
        "more pixels than our limit",
        ANSWERS,
        "too_many_pixels",
        LIMITS,
        options={"decode": DecodeOptions(max_pixels=1000)},
    ),
    _damage("150 scans", ANSWERS, "too_many_scans", LIMITS, image=lambda: jpeg_with_scans(150)),
)
