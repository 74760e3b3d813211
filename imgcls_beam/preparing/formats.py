"""The formats that are decoded, and what the first bytes say an object is."""

import functools
import re
from collections.abc import Callable
from typing import IO, NamedTuple

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing.inspecting import (
    Inspection,
    boxed,
    gif,
    headers,
    jpeg,
    jpeg2000,
    png,
    tiff,
)
from imgcls_beam.preparing.jpeg2000_reader import Jpeg2000Reader
from imgcls_beam.preparing.readers import (
    PngReader,
    PpmReader,
    TiffReader,
    WebPReader,
    find_heif,
    read_heif,
)

_HEAD_BYTES = 1024


class Format(NamedTuple):
    """A format that is decoded.

    Attributes:
        signature: a regular expression for its first bytes.
        inspect: what it declares, before `reader` sees it.
        reader: Pillow's class, called directly: `Image.open` would try several formats on the same
            bytes, read an MPO's directory, and apply Pillow's own limit, which is the process's.
        feature: what Pillow must have been built with, by its own name for it.
    """

    signature: bytes
    inspect: Callable[[bytes], Inspection]
    reader: Callable[[IO[bytes]], ImageFile]
    feature: str = ""


_AVIF = rb"....ftyp(avif|avis|(mif1|msf1).{4}(.{4}){0,14}?avi[fs])"
_HEIF = rb"....ftyp(hei|hev|mif1|msf1)"
_BMP = rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"
_TIFF = rb"II[*+]\0|MM\0[*+]|MM\*\0|II\0\*"
_JPEG2000 = rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"

FORMATS = {
    # What cameras, phones and the web write.
    "JPEG": Format(rb"\xff\xd8\xff", jpeg.inspect_jpeg, JpegImageFile),
    "PNG": Format(rb"\x89PNG\r\n\x1a\n", png.inspect_png, PngReader),
    "WEBP": Format(rb"RIFF....WEBP", headers.inspect_webp, WebPReader, "webp"),
    "GIF": Format(rb"GIF8[79]a", gif.inspect_gif, GifImageFile),
    "AVIF": Format(_AVIF, boxed.inspect_avif, AvifImageFile, "avif"),
    "HEIF": Format(_HEIF, boxed.inspect_heif, read_heif),
    # What scanners, microscopes and archives write.
    "BMP": Format(_BMP, headers.inspect_bmp, BmpImageFile),
    "TIFF": Format(_TIFF, tiff.inspect_tiff, TiffReader),
    "JPEG2000": Format(_JPEG2000, jpeg2000.inspect_jpeg2000, Jpeg2000Reader, "jpg_2000"),
    "PPM": Format(rb"P[1-6f]\s", headers.inspect_ppm, PpmReader),
}
"""The formats that are decoded, by Pillow's names. The rest of Pillow's 44 are left out: an icon
has no first frame but its largest, which is decoded on opening; the others (PostScript, which
starts another program, game textures, weather data, old paint programs) are no photographs."""

_SUPPORTED = {name: each.signature for name, each in FORMATS.items()}
_UNSUPPORTED = {
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG XR": rb"II\xbc",
    "Canon raw (CR3)": rb"....ftypcrx ",
    "Canon raw (CRW)": rb"II.{4}HEAPCCDR",
    "Fujifilm raw (RAF)": rb"FUJIFILMCCD-RAW",
    "Minolta raw (MRW)": rb"\0MRM",
    "Olympus raw (ORF)": rb"IIR[OS]|MMO[RS]",
    "Panasonic raw (RW2)": rb"IIU\0",
    "Sigma raw (X3F)": rb"FOVb",
    "PAM": rb"P7\s",
    "PFM in colour": rb"PF\s",
    "Radiance HDR": rb"#\?(RADIANCE|RGBE)",
    "DICOM": rb".{128}DICM",
    "DjVu": rb"AT&TFORM",
    "BPG": rb"BPG\xfb",
    "FLIF": rb"FLIF",
    "MNG": rb"\x8a[MJ]NG\r\n\x1a\n|\x8bJNG\r\n\x1a\n",
    "GIMP": rb"gimp xcf",
    "ICO": rb"\0\0[\x01\x02]\0(?!\0\0)",
    "Photoshop": rb"8BPS",
    "PostScript": rb"%!PS|\xc5\xd0\xd3\xc6",
    "DDS": rb"DDS ",
    "ICNS": rb"icns",
    "QOI": rb"qoif",
    "SGI": rb"\x01\xda[\x00\x01]",
    "PCX": rb"\x0a[\x00\x02\x03\x05]\x01",
    "FITS": rb"SIMPLE  =",
    "HDF5": rb"\x89HDF\r\n\x1a\n",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "Sun raster": rb"\x59\xa6\x6a\x95",
    "WMF": rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF",
    "XPM": rb"/\* XPM \*/",
    "XBM": rb"#define [^\n]*_width",
    "TGA": rb".\0[\x02\x03\x0a\x0b]\0{5}.{8}[\x08\x0f\x10\x18\x20][\0-\x3f]",
}
_NO_IMAGES = {
    "a PDF document": rb"%PDF-",
    "a gzip file": rb"\x1f\x8b",
    "a zip archive": rb"PK\x03\x04",
    "a video": rb"....ftyp|\x1a\x45\xdf\xa3",
    "an SVG drawing": rb"\s*(<\?xml.*)?(<!--.*)?<(!doctype )?svg",
    "an HTML page": rb"\s*(<!--.*)?<(!doctype html|html|head|body|script)",
    "an XML document": rb"\s*<\?xml",
    "a JSON document": rb"\s*[{\[]\s*[\"{\[\]}\d]",
    "a Git LFS pointer": rb"version https://git-lfs",
    "a file of zero bytes": rb"\0{512}",
    "plain text": rb"[\t\n\r\x20-\x7e]+\Z",
}


def identify(data: bytes) -> str:
    """Pillow's name of the format, by its signature.

    Raises:
        ImageError: `empty`, `unsupported` or `not_an_image`.
    """
    if not data:
        raise ImageError(FailureCode.EMPTY, "the object has no bytes")
    head = data[:_HEAD_BYTES]
    if name := _match(_SUPPORTED, head):
        if missing := _find_missing(name):
            raise ImageError(FailureCode.UNSUPPORTED, missing)
        return name
    if other := _match(_UNSUPPORTED, head):
        message = f"{other} images are not decoded; decoded are {', '.join(FORMATS)}"
        raise ImageError(FailureCode.UNSUPPORTED, message)
    guess = _match(_NO_IMAGES, head.removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE)
    tail = f"it looks like {guess}" if guess else "it begins with no known signature"
    raise ImageError(FailureCode.NOT_AN_IMAGE, f"not an image: {tail}")


@functools.cache
def _find_missing(name: str) -> str:
    """What must be installed to decode a format; nothing where all is there."""
    if name == "HEIF" and not find_heif():
        return "HEIF images are decoded with an extra: pip install 'imgcls_beam[heic]'"
    feature = FORMATS[name].feature
    if feature and not features.check(feature):
        return f"{name} images are decoded by a Pillow that was built with {feature}"
    return ""


def _match(signatures: dict[str, bytes], head: bytes, flags: int = 0) -> str | None:
    matching = (name for name, each in signatures.items() if re.match(each, head, re.S | flags))
    return next(matching, None)
