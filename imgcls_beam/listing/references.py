"""A manifest's line → an `ImageRef`, or a `Failure` where the line names no image.

A line's text is taken as `--input` would take it, with two exceptions. A path that is not absolute
is relative to the manifest's own folder, wherever the program is started. And a manifest that lies
in a store must not name files of this machine: anyone who may write to a bucket could have them
read. `--allow_scheme=file` allows it.
"""

import dataclasses
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imgcls_beam.attributes import find_surrogates
from imgcls_beam.checks import is_scheme_allowed
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, ImageError
from imgcls_beam.masking import has_secret_user
from imgcls_beam.options import ManifestOptions
from imgcls_beam.stores import find_host_problem, spell_uri, split_url

NO_TEXT = "holds text that is not UTF-8"
"""Behind the name of a column."""
MAX_URI_CHARS = 8192
"""Twice the longest path that Linux takes; URLs of stores are shorter."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DOTS = re.compile(r"(?:^|/)\.\.?(?:/|$)")

_LOCAL_SCHEMES = frozenset({"file", "local"})
_SHOWN_COLUMNS = 40

_NO_URI = "the line names no image: there is no text where its URI should be"
_CONTROLLED = "the line's URI holds control characters"
_TOO_LONG = f"the line's URI is longer than {MAX_URI_CHARS:,} characters"
_NOT_UNICODE = "the line's URI is not UTF-8"
_NO_STORE = "the line's URI names no store: its host is missing, unknown, or has a password"
_IN_NO_FOLDER = "the line's URI is relative, and a table of BigQuery lies in no folder"
_LOCAL = (
    "the line names a file of this machine, and its manifest lies elsewhere; "
    "if that is meant, allow it (--allow_scheme=file)"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line of a manifest.

    Attributes:
        number: of the line, from 1, blank ones counted; of a Parquet row, from 0.
        value: of the column of URIs, of any type.
        attributes: the carried columns; None where none are carried.
        problem: why the line cannot be used, whatever its value is.
    """

    number: int
    value: object
    attributes: Mapping[str, Any] | None = None
    problem: str | None = None


class References:
    """What the lines of one manifest name."""

    def __init__(self, manifest: ImageRef, allow_schemes: tuple[str, ...]) -> None:
        """Takes the manifest as it was listed, and the schemes allowed beside `checks.SCHEMES`."""
        self._manifest = manifest
        self._folder = manifest.uri.rpartition("/")[0]
        self._allow_schemes = allow_schemes
        asked = _LOCAL_SCHEMES.intersection(map(str.lower, allow_schemes))
        self._may_be_local = manifest.uri.startswith("file://") or bool(asked)

    def to_listed(self, line: Line) -> ImageRef | Failure:
        """The image that a line names; a failure's URI is the manifest's, `::` and the number."""
        carried, problem = line.attributes, line.problem or _find_problem(line.value)
        if carried is not None and (name := find_surrogates(carried)) is not None:
            carried, problem = None, problem or describe_column(name, NO_TEXT)
        try:
            if problem is not None:
                raise ImageError(FailureCode.INVALID_REFERENCE, problem)
            return ImageRef(self._to_uri(str(line.value).strip()), attributes=carried)
        except ImageError as error:
            uri = f"{self._manifest.uri}::{line.number}"
            ref = dataclasses.replace(self._manifest, uri=uri, size_bytes=None, attributes=carried)
            return Failure.from_error(ref, error)

    def _to_uri(self, text: str) -> str:
        """The URI of what a line names.

        Raises:
            ImageError: it names no store, a path in no folder, or a file of this machine without
                being allowed to.
        """
        scheme, authority, path = split_url(text)
        if has_secret_user(text):
            raise ImageError(FailureCode.INVALID_REFERENCE, _NO_STORE)
        if problem := find_host_problem(text):
            raise ImageError(FailureCode.INVALID_REFERENCE, problem)
        if text.startswith("/") or path != text:
            if not is_scheme_allowed(scheme, self._allow_schemes):
                return text  # reading refuses it
            if scheme in _LOCAL_SCHEMES and not self._may_be_local:
                raise ImageError(FailureCode.INVALID_REFERENCE, _LOCAL)
        elif not self._folder:
            raise ImageError(FailureCode.INVALID_REFERENCE, _IN_NO_FOLDER)
        else:
            scheme, authority, path = split_url(f"{self._folder}/{text}")
            if _DOTS.search(text):
                path = posixpath.normpath(path)
        try:
            return spell_uri(f"{scheme}://{authority}{path}")
        except ValueError as error:
            raise ImageError(FailureCode.INVALID_REFERENCE, _NO_STORE) from error


def asked_columns(options: ManifestOptions, known: Sequence[str]) -> list[tuple[str, str]]:
    """The options that name columns of a manifest of URIs, and the columns.

    Raises:
        ConfigError: no column of URIs is named.
    """
    if options.uri_column is None:
        problem = f"name the column of image URIs; {_show(known)}"
        raise ConfigError("uri_column", None, problem)
    carried = [("carry_columns", name) for name in options.carry_columns]
    return [("uri_column", options.uri_column), *carried]


def refuse_column(option: str, name: str, known: Sequence[str], uri: str = "") -> ConfigError:
    """The error for a column that is missing, or that there are two of; `uri` of the file."""
    problem = "it stands there twice" if name in known else "there is no such column"
    if near := find_near_column(name, known):
        problem += f"; did you mean {_spell(near)}?"
    return ConfigError(option, name, f"{problem}; {_show(known)}{f'; in {uri}' if uri else ''}")


def describe_column(name: str, problem: str) -> str:
    """A sentence about what a line has in a column."""
    return f"the line's column {_spell(name)} {problem}"


def find_near_column(name: str, known: Iterable[str]) -> str | None:
    """A column of nearly this name: but for capitals, blanks, `-` and `_`; None for none."""
    simple = _simplify(name)
    return next((each for each in known if each != name and _simplify(each) == simple), None)


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _show(columns: Sequence[str]) -> str:
    more = ", …" if len(columns) > _SHOWN_COLUMNS else ""
    return f"columns: {', '.join(map(_spell, columns[:_SHOWN_COLUMNS]))}{more}"


def _spell(name: str) -> str:
    """A column's name; in quotes where it has blanks at its ends, and escaped where it is odd."""
    if not name.isprintable():
        return ascii(name)
    return name if name == name.strip() and name else repr(name)


def pick(fields: Mapping[str, Any], name: str, default: object = None) -> Any:  # noqa: ANN401
    """The field of this name; else, for `a.b`, field `b` of the object `a`; else the default."""
    if name in fields:
        return fields[name]
    outer, _, inner = name.partition(".")
    value = fields.get(outer)
    return pick(value, inner, default) if inner and isinstance(value, Mapping) else default


def _find_problem(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return _NO_URI
    if len(value) > MAX_URI_CHARS:
        return _TOO_LONG
    if _CONTROL.search(value.strip()):
        return _CONTROLLED
    return _NOT_UNICODE if _SURROGATE.search(value) else None
