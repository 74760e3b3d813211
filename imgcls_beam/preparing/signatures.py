"""What the first bytes say an object is."""

import re

from imgcls_beam.errors import FailureCode, ImageError

_HEAD_BYTES = 1024


def _compile(signatures: dict[str, bytes], flags: int = 0) -> dict[str, re.Pattern[bytes]]:
    return {name: re.compile(each, re.DOTALL | flags) for name, each in signatures.items()}


_SUPPORTED = _compile(
    {
        # What cameras, phones and the web write. MPO is a JPEG with more of them behind it.
        "JPEG": rb"\xff\xd8\xff",
        "PNG": rb"\x89PNG\r\n\x1a\n",
        "WEBP": rb"RIFF....WEBP",
        "GIF": rb"GIF8[79]a",
        "AVIF": rb"....ftyp(avif|avis|(mif1|msf1).{4}(.{4}){0,14}?avi[fs])",
        # What scanners, microscopes and archives write.
        "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
        "TIFF": rb"II[*+]\0|MM\0[*+]|MM\*\0|II\0\*",
        "JPEG2000": rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
        # What research code writes: PBM, PGM, PPM, PFM.
        "PPM": rb"P[1-6f]\s",
    }
)
SUPPORTED_FORMATS = tuple(_SUPPORTED)
"""The formats that are decoded, by Pillow's names. The rest of Pillow's 44 are left out: an icon
has no first frame but its largest, which is decoded on opening; the others (PostScript, which
starts another program, game textures, weather data, old paint programs) are no photographs."""

_UNSUPPORTED = _compile(
    {
        "HEIF": rb"....ftyp(hei|hev|mif1|msf1)",
        "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
        "ICO": rb"\0\0[\x01\x02]\0",
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
    }
)
_NO_IMAGES = _compile(
    {
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
    },
    re.IGNORECASE,
)


def identify(data: bytes) -> str:
    """Pillow's name of the format, by its signature.

    Raises:
        ImageError: `empty`, `unsupported_format` or `not_an_image`.
    """
    if not data:
        raise ImageError(FailureCode.EMPTY, "the object has no bytes")
    head = data[:_HEAD_BYTES]
    if supported := _match(_SUPPORTED, head):
        return supported
    if other := _match(_UNSUPPORTED, head):
        message = f"{other} images are not decoded; decoded are {', '.join(SUPPORTED_FORMATS)}"
        raise ImageError(FailureCode.UNSUPPORTED_FORMAT, message)
    guess = _match(_NO_IMAGES, head.removeprefix(b"\xef\xbb\xbf"))
    tail = f"it looks like {guess}" if guess else "it begins with no known signature"
    raise ImageError(FailureCode.NOT_AN_IMAGE, f"not an image: {tail}")


def _match(table: dict[str, re.Pattern[bytes]], head: bytes) -> str | None:
    return next((name for name, signature in table.items() if signature.match(head)), None)
