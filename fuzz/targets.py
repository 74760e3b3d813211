"""What must hold of whatever reads untrusted bytes: each target raises where it does not.

A target takes any bytes. What it calls may refuse them, in the one way that its docstring says; any
other exception is a finding, and so is an answer that breaks a promise.
"""

import contextlib
import dataclasses
import io
import json
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterable

import fsspec
from PIL import Image

from imgcls_beam.classifying.configs import read_config
from imgcls_beam.elements import ByteSpan, EncodedImage, Failure, ImageRef, RequestLine
from imgcls_beam.errors import ConfigError, FailureCode, ImageError, ModelError, Stage
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.line_manifests import look_at_lines, read_lines
from imgcls_beam.listing.references import Line, References
from imgcls_beam.listing.request_files import find_lines
from imgcls_beam.options import DecodeOptions, ManifestOptions
from imgcls_beam.preparing.decode import DecodedImage, try_decode
from imgcls_beam.preparing.formats import FORMATS, identify
from imgcls_beam.preparing.inspecting.tags import is_tag_bomb
from imgcls_beam.preparing.limits import check_inspection
from imgcls_beam.preparing.orientation import read_orientation
from imgcls_beam.reading.request_images import open_request
from imgcls_beam.scoring import ModelSource
from imgcls_beam.stores import split_url

_LIMITS = DecodeOptions(max_pixels=1 << 18)
"""Small, so that a fuzzer tries many images a second."""
_MAX_BYTES = 1 << 16
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}|^<.*>$")
_PLACE = "memory://fuzz"


def _check_refusal(code: FailureCode, message: str) -> None:
    """A refusal is one of the closed codes, and a line that is the same each time."""
    assert isinstance(code, FailureCode), code
    assert message and message.isprintable() and len(message) < 1000, ascii(message)
    assert not _ADDRESS.search(message), message


def headers(data: bytes) -> None:
    """Inspectors refuse nothing; `identify` and the limits refuse by an `ImageError`."""
    for name, each in FORMATS.items():
        found = each.inspect(data)
        assert len(found.data) <= len(data) + 64, (name, len(found.data))
        assert found == each.inspect(data), name
        for width_px, height_px in found.sizes:
            assert width_px >= 0 and height_px >= 0, (name, found.sizes)
        with contextlib.suppress(ImageError):
            check_inspection(name, found, _LIMITS)
    with contextlib.suppress(ImageError):
        identify(data)


def images(data: bytes) -> None:
    """An image is decoded or refused; a decoded one is RGB, within the limit."""
    found = try_decode(data, _LIMITS)
    if isinstance(found, DecodedImage):
        assert found.image.mode == "RGB"
        assert 0 < found.image.width * found.image.height <= _LIMITS.max_pixels
        assert found.facts.size_bytes == len(data)
    else:
        _check_refusal(found.error.code, found.error.message)


def exif(data: bytes) -> None:
    """An orientation is 1 to 8, whatever the EXIF is; so it is behind a PNG's text."""
    is_tag_bomb(data)
    image = Image.new("L", (1, 1))
    text = f"\nexif\n{len(data)}\n{data.hex()}"
    for name, value in (("exif", data), ("Raw profile type exif", text)):
        image.info = {name: value}
        assert 1 <= read_orientation(image) <= 8


def tar(data: bytes) -> None:
    """Members lie within the archive and have a URI each; else there are failures."""
    archive = _put("a.tar", data)
    seen = set()
    for listed in list_archive(archive):
        if isinstance(listed, Failure):
            _check_failures([listed])
            continue
        span = listed.locator
        assert isinstance(span, ByteSpan)
        assert 0 <= span.start <= span.end <= len(data), span
        assert listed.uri not in seen, listed.uri
        seen.add(listed.uri)


def requests(data: bytes) -> None:
    """Each line is an image of at most so many bytes, or `invalid_request` or `too_many_bytes`."""
    end = 0
    for number, start, stop in find_lines(io.BytesIO(data)):
        assert end <= start < stop <= len(data)
        end = stop
        locator = RequestLine(start, stop)
        ref = ImageRef(f"{_PLACE}/r.jsonl::{number}", size_bytes=stop - start, locator=locator)
        opened = open_request(EncodedImage(ref, data[start:stop]), _MAX_BYTES)
        if isinstance(opened, Failure):
            assert opened.code in (FailureCode.INVALID_REQUEST, FailureCode.TOO_MANY_BYTES)
            _check_failures([opened])
        else:
            assert 0 < len(opened.data) <= _MAX_BYTES
            assert opened.ref.parameters is None or opened.ref.parameters.top_k != 0


def manifests(data: bytes) -> None:
    """A manifest is refused by a `ConfigError`, or each line is a reference or a failure."""
    for suffix in (".csv", ".tsv", ".jsonl", ".txt"):
        is_text = suffix == ".txt"
        file = _put(f"m{suffix}", data)
        options = ManifestOptions(
            file.uri, None if is_text else "uri", carry_columns=() if is_text else ("a", "b.c")
        )
        references = References(file, ())
        with contextlib.suppress(ConfigError):
            look_at_lines(file, options)
            for line in read_lines(file, options):
                _check_listed(references.to_listed(line))


def uris(data: bytes) -> None:
    """A line of text is a URI that stays the same when it is read again, or a failure.

    In a bucket it names no file of this machine.
    """
    text = data.decode("utf-8", "surrogateescape")
    for manifest in ("gs://bucket/m.csv", "s3://bucket/a/m.csv", "file:///folder/m.csv"):
        references = References(ImageRef(manifest), ())
        listed = references.to_listed(Line(1, text))
        _check_listed(listed)
        if isinstance(listed, ImageRef) and not manifest.startswith("file:"):
            assert split_url(listed.uri)[0] not in ("file", "local"), listed.uri
        if isinstance(listed, ImageRef) and listed.uri == listed.uri.strip():
            again = references.to_listed(Line(1, listed.uri))
            assert isinstance(again, Failure) or again.uri == listed.uri, (text, listed.uri)


def configs(data: bytes) -> None:
    """A model's config.json is an object with labels that can be numbered, or a `ModelError`."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "config.json").write_bytes(data)
        try:
            config = read_config(path, ModelSource("model", "r1", folder))
        except ModelError as error:
            assert str(error)
            return
        assert isinstance(config, dict)
        assert json.loads(data) is not None


def _put(name: str, data: bytes) -> ImageRef:
    fsspec.filesystem("memory").pipe_file(f"/fuzz/{name}", data)
    return ImageRef(f"{_PLACE}/{name}", size_bytes=len(data))


def _check_listed(listed: ImageRef | Failure) -> None:
    if isinstance(listed, Failure):
        _check_failures([listed])
    else:
        assert listed.uri
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", listed.uri), ascii(listed.uri)


def _check_failures(failures: Iterable[Failure]) -> None:
    for failure in failures:
        assert isinstance(failure.stage, Stage)
        _check_refusal(failure.code, failure.message)
        assert dataclasses.replace(failure) == failure


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (headers, images, exif, tar, requests, manifests, uris, configs)
}
