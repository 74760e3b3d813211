"""`inputs`: the image as text, what looks like it, and what is none."""

import base64

from tests.edges.case import ANSWERS, BARE_NAME, FILE, PHOTO, URL, Difference, table
from tests.pictures import encode

NEVER_OPENED = Difference(
    "Nothing is opened or fetched",
    "What stands in `inputs` comes from strangers. The reference opens a file of that name and "
    "fetches an address; here it is base64 or it is refused.",
)
MORE_BASE64 = Difference(
    "More kinds of base64",
    "The task says base64, and the URL-safe alphabet is that, too; so are data URIs of any media "
    "type, in capitals or behind a space. The reference fails on them.",
)
STRICT_BASE64 = Difference(
    "Letters outside the alphabet",
    "A letter outside the alphabet means that the text was damaged or is something else. The "
    "reference drops such letters and decodes what is left.",
)
NO_BASE64 = Difference(
    "Data URIs that are not base64",
    "A data URI without `;base64` holds percent-encoded text (RFC 2397).",
)
ONE_IMAGE = Difference(
    "One image in a request",
    "A request holds one image, and its row one answer; the reference takes a list as a batch.",
)

_PNG = encode(PHOTO, "PNG")
_LINE_CHARS = 76

_as_text = table("inputs")
_refused = table("inputs", reference="ValueError", ours="invalid_request")
_no_image = table("inputs", reference="ValueError", ours="not_an_image")
_wrong_type = table("inputs", reference="TypeError", ours="invalid_request")
_more = table("inputs", reference="ValueError", ours=ANSWERS, difference=MORE_BASE64)


def _pad_png(paddings: int) -> bytes:
    """A PNG whose base64 ends with so many equals signs."""
    return _PNG + bytes((-len(_PNG) - paddings) % 3)


def _text(paddings: int = 0) -> str:
    return base64.b64encode(_pad_png(paddings)).decode()


def _lines(end: str) -> str:
    text = _text()
    return end.join(text[i : i + _LINE_CHARS] for i in range(0, len(text), _LINE_CHARS))


_BASE64 = _text()
_URL_SAFE = base64.urlsafe_b64encode(_PNG).decode()
_ESCAPED = _BASE64.replace("+", "%2B").replace("/", "%2F")

INPUTS = (
    _as_text("base64", inputs=_BASE64),
    _as_text("base64, one equals sign", inputs=_text(1)),
    _as_text("base64, two equals signs", inputs=_text(2)),
    _as_text("base64, too many equals signs", inputs=_text(1) + "=="),
    _as_text("base64 of a JPEG", inputs=base64.b64encode(encode(PHOTO, "JPEG")).decode()),
    _as_text("base64 in lines", inputs=_lines("\n")),
    _as_text("base64 in lines of Windows", inputs=_lines("\r\n")),
    _as_text("base64 with spaces", inputs=_lines(" ")),
    _as_text("base64 with a tab before and behind", inputs=f"\t{_BASE64}\t"),
    _as_text("a data URI", inputs=f"data:image/png;base64,{_BASE64}"),
    _as_text("a data URI of another type", inputs=f"data:image/jpeg;base64,{_BASE64}"),
    _as_text(
        "a data URI with a parameter", inputs=f"data:image/png;charset=utf-8;base64,{_BASE64}"
    ),
    _more("URL-safe base64", inputs=_URL_SAFE),
    _more("URL-safe base64 in a data URI", inputs=f"data:image/png;base64,{_URL_SAFE}"),
    _more("a data URI without a type", inputs=f"data:;base64,{_BASE64}"),
    _more("a data URI of bytes", inputs=f"data:application/octet-stream;base64,{_BASE64}"),
    _more("a data URI in capitals", inputs=f"DATA:IMAGE/PNG;BASE64,{_BASE64}"),
    _more("a data URI behind a space", inputs=f" data:image/png;base64,{_BASE64}"),
    _refused("a data URI of nothing", inputs="data:image/png;base64,"),
    _refused("a data URI with escapes", inputs=f"data:image/png;base64,{_ESCAPED}"),
    _refused("a data URI without a comma", "IndexError", inputs=f"data:image/png;base64{_BASE64}"),
    _refused(
        "a data URI without base64",
        ANSWERS,
        difference=NO_BASE64,
        inputs=f"data:image/png,{_BASE64}",
    ),
    _refused(
        "letters outside the alphabet",
        ANSWERS,
        difference=STRICT_BASE64,
        inputs=f"{_BASE64[:100]}!*{_BASE64[100:]}",
    ),
    _refused("base64 with escapes", inputs=_ESCAPED),
    _refused("nothing", inputs=""),
    _refused("a space", inputs=" "),
    _refused("one letter", inputs="A"),
    _refused("four equals signs", inputs="===="),
    _refused("letters of another script", inputs="ünïcode"),
    _refused("half a character", inputs="\ud800"),
    _refused("a NUL", inputs="QUJD\0QUJD"),
    _no_image("two words", inputs="hello world"),
    _no_image("base64 of text", inputs=base64.b64encode(b"not an image").decode()),
    _no_image("base64 of base64", inputs=base64.b64encode(_BASE64.encode()).decode()),
    _no_image("hexadecimal", inputs=_PNG.hex()),
    _refused("a file's path", ANSWERS, difference=NEVER_OPENED, inputs=FILE),
    _no_image("a file's name that is base64", ANSWERS, difference=NEVER_OPENED, inputs=BARE_NAME),
    _refused("a path where no file is", inputs=f"{FILE}.gone"),
    _refused("a file's URL", inputs=f"file://{FILE}"),
    _refused("an address", ANSWERS, difference=NEVER_OPENED, inputs=URL),
    _wrong_type("a number", inputs=5),
    _wrong_type("true", inputs=True),
    _wrong_type("an object", inputs={"image": _BASE64}),
    _refused("an empty list", "IndexError", inputs=[]),
    _refused("a list of two", ANSWERS, difference=ONE_IMAGE, inputs=[_BASE64, _BASE64]),
)
