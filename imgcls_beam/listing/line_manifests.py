"""The lines of CSV, TSV, JSONL and text manifests, in UTF-8, packed or not."""

import contextlib
import csv
import gzip
import itertools
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.folders import refuse_faults
from imgcls_beam.listing.references import (
    Line,
    asked_columns,
    pick,
    refuse_column,
)
from imgcls_beam.options import ManifestOptions
from imgcls_beam.stores import open_store

PACKED_SUFFIXES = (".gz", ".bz2", ".xz")
_MAX_LINE_CHARS = 1 << 20
_HEAD_LINES = 1000
_HEAD_CHARS = 8 << 20
"""Of JSONL, which has no header: the columns of its first lines are its columns."""
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")
"""Its byte order marks, as they come out of a tolerant UTF-8 decoder."""

_Parsed = tuple[int, dict[str, Any] | str]
"""The number of a line of JSONL, and its fields or what is wrong with it."""

_LONG_LINE = f"the line is longer than {_MAX_LINE_CHARS:,} characters"
_NOT_CSV = "the line is not CSV, or one of its fields is too long"
_OPEN_QUOTE = "the line opens a quote that is never closed"
_NOT_AN_OBJECT = "the line is not a JSON object"
_TOO_DEEP = "the line's carried columns are nested too deeply"


def is_of_lines(uri: str) -> bool:
    """Whether a file of this name is a manifest of lines."""
    return _strip_packed(uri).endswith(LINE_SUFFIXES)


def read_lines(file: ImageRef, options: ManifestOptions) -> Iterator[Line]:
    """Reads a manifest line by line; blank lines are left out.

    Args:
        file: a file whose name `is_of_lines`.
        options: the columns to take.

    Raises:
        ConfigError: it cannot be read to its end, or has no such column.
    """
    store, path = open_store("input_manifest", file.uri)
    name = _strip_packed(file.uri)
    read = next(reader for suffix, reader in _READERS.items() if name.endswith(suffix))
    how = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    with (
        refuse_faults("input_manifest", file.uri),
        store.open(path, "r", compression="infer", **how) as text,
        _refuse_damage(file.uri),
    ):
        yield from read(_Lines(text, file.uri), options)


def _strip_packed(uri: str) -> str:
    name = uri.lower()
    packed = next((suffix for suffix in PACKED_SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(packed)


@contextlib.contextmanager
def _refuse_damage(uri: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        problem = "it cannot be unpacked to its end: it is damaged, cut off, or packed otherwise"
        raise ConfigError("input_manifest", uri, problem) from error


class _Lines:
    """The lines of a text, counted; of one that is too long, its beginning."""

    def __init__(self, text: TextIO, uri: str) -> None:
        self.uri = uri
        self.number = 0
        self.chars = 0
        self.is_over = False
        self._has_cut = False
        self._text = text

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(_MAX_LINE_CHARS)
        if not line:
            self.is_over = True
            raise StopIteration
        if not self.number and line.startswith(_UTF_16):
            raise ConfigError("input_manifest", self.uri, "it is UTF-16; save it as UTF-8")
        self.number += 1
        self.chars += len(line)
        if len(line) == _MAX_LINE_CHARS and line[-1] not in "\r\n":
            self._has_cut = True
            while (rest := self._text.readline(_MAX_LINE_CHARS)) and rest[-1] not in "\r\n":
                continue
        return line

    def take_cut(self) -> bool:
        """Whether a line was cut since this was last asked."""
        has_cut, self._has_cut = self._has_cut, False
        return has_cut


def _read_text(lines: _Lines, options: ManifestOptions) -> Iterator[Line]:
    for name in (options.uri_column, *options.carry_columns):
        if name is not None:
            option = "uri_column" if name == options.uri_column else "carry_columns"
            raise ConfigError(option, name, f"{lines.uri} is plain text and has no columns")
    for line in lines:
        if value := line.strip():
            yield Line(lines.number, value, problem=_LONG_LINE if lines.take_cut() else None)


def _read_csv(lines: _Lines, options: ManifestOptions, delimiter: str = ",") -> Iterator[Line]:
    rows = csv.reader(lines, delimiter=delimiter)
    header = _read_header(rows, lines.uri)
    for option, name in asked_columns(options, header):
        if header.count(name) != 1:
            raise refuse_column(option, name, header)
    index = header.index(str(options.uri_column))
    carried = [(name, header.index(name)) for name in options.carry_columns]
    while not lines.is_over:
        first = lines.number + 1
        row, problem = _read_row(rows, lines)
        if row or problem:
            fields = {name: row[i] if i < len(row) else None for name, i in carried}
            attributes = fields if carried else None
            yield Line(first, row[index] if index < len(row) else None, attributes, problem)


def _read_header(rows: Iterator[list[str]], uri: str) -> list[str]:
    try:
        return next(row for row in rows if row)
    except (StopIteration, csv.Error) as error:
        raise ConfigError("input_manifest", uri, "it has no header row of CSV") from error


def _read_row(rows: Iterator[list[str]], lines: _Lines) -> tuple[list[str], str | None]:
    """The fields of a row, none at the end and of a blank line; and what is wrong with it."""
    try:
        row = next(rows, [])
    except csv.Error:  # the reader begins anew with the line after it
        return [], _NOT_CSV
    if lines.take_cut():
        return row, _LONG_LINE
    return row, _OPEN_QUOTE if row and lines.is_over else None  # it looks ahead only in a quote


def _read_tsv(lines: _Lines, options: ManifestOptions) -> Iterator[Line]:
    return _read_csv(lines, options, delimiter="\t")


def _read_jsonl(lines: _Lines, options: ManifestOptions) -> Iterator[Line]:
    texts = (line for line in lines if not line.isspace())
    first = next(texts, "")
    if not first:
        return
    parsed = (_parse(line, lines) for line in itertools.chain([first], texts))
    head = list(_take_head(parsed, lines))
    objects = [fields for _, fields in head if isinstance(fields, dict)]
    if not objects or first.lstrip().startswith("["):
        problem = "it does not begin with JSON objects, one on each line, as JSONL does"
        raise ConfigError("input_manifest", lines.uri, problem)
    known = list(dict.fromkeys(itertools.chain.from_iterable(objects)))
    for option, name in asked_columns(options, known):
        if not any(_has(fields, name) for fields in objects):
            raise refuse_column(option, name, known)
    for number, fields in itertools.chain(head, parsed):
        yield _to_line(number, fields, options)


def _take_head(parsed: Iterator[_Parsed], lines: _Lines) -> Iterator[_Parsed]:
    for each in itertools.islice(parsed, _HEAD_LINES):
        yield each
        if lines.chars > _HEAD_CHARS:
            return


def _parse(line: str, lines: _Lines) -> _Parsed:
    if lines.take_cut():
        return lines.number, _LONG_LINE
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):  # the latter: 1,000 brackets
        fields = None
    return lines.number, fields if isinstance(fields, dict) else _NOT_AN_OBJECT


def _to_line(number: int, fields: dict[str, Any] | str, options: ManifestOptions) -> Line:
    if isinstance(fields, str):
        return Line(number, None, problem=fields)
    carried = {name: pick(fields, name) for name in options.carry_columns}
    try:
        encode_attributes(carried)  # what is nested as deeply as this cannot travel either
    except RecursionError:
        return Line(number, None, problem=_TOO_DEEP)
    return Line(number, pick(fields, str(options.uri_column)), carried or None)


def _has(fields: Mapping[str, Any], name: str) -> bool:
    outer, _, inner = name.partition(".")
    value = fields.get(outer)
    return name in fields or (bool(inner) and isinstance(value, dict) and _has(value, inner))


_Reader = Callable[[_Lines, ManifestOptions], Iterator[Line]]
_READERS: dict[str, _Reader] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_jsonl,
    ".txt": _read_text,
    ".list": _read_text,
}
LINE_SUFFIXES = tuple(_READERS)
