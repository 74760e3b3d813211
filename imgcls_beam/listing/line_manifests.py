"""The lines of CSV, TSV, JSONL and text manifests, in UTF-8, packed or not."""

import csv
import functools
import gzip
import itertools
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import TextIO

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.folders import open_file
from imgcls_beam.listing.references import Line, asked_columns, pick, refuse_column
from imgcls_beam.options import ManifestOptions

_PACKED_SUFFIXES = (".gz", ".bz2", ".xz")
_MAX_LINE_CHARS = 1 << 20
_HEAD_LINES = 1000
_HEAD_CHARS = 8 << 20
"""Of JSONL, which has no header: the columns of its first lines are its columns."""
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")
"""Its byte order marks, as they come out of a tolerant UTF-8 decoder."""

_ABSENT = object()

_LONG_LINE = f"the line is longer than {_MAX_LINE_CHARS:,} characters"
_NOT_CSV = "the line is not CSV, or one of its fields is too long"
_OPEN_QUOTE = "the line opens a quote that is never closed"
_NOT_AN_OBJECT = "the line is not a JSON object"
_TOO_DEEP = "the line's carried columns are nested too deeply"


def read_lines(file: ImageRef, options: ManifestOptions) -> Iterator[Line]:
    """Reads a manifest line by line; blank lines are left out.

    Raises:
        ConfigError: its suffix is none of these formats, it cannot be read to its end, it has no
            such column, or images are to be read out of it.
    """
    option, read = "input_manifest", _find_reader(file.uri)
    if options.image_column is not None:
        problem = f"only Parquet holds images, and {file.uri} is something else; give uri_column"
        raise ConfigError("image_column", options.image_column, problem)
    how = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    with open_file(option, file.uri, "r", compression="infer", **how) as text:
        try:
            yield from read(_Lines(text, file.uri), options)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            problem = (
                "it cannot be unpacked to its end: it is damaged, cut off, or packed otherwise"
            )
            raise ConfigError(option, file.uri, problem) from error


def _find_reader(uri: str) -> "_Reader":
    name = uri.lower()
    packed = next((suffix for suffix in _PACKED_SUFFIXES if name.endswith(suffix)), "")
    suffix = "." + name.removesuffix(packed).rpartition(".")[2]
    if suffix not in _READERS:
        known, packings = ", ".join((*_READERS, ".parquet")), ", ".join(_PACKED_SUFFIXES)
        problem = f"its suffix does not say its format; known: {known}; all but the last {packings}"
        raise ConfigError("input_manifest", uri, problem)
    return _READERS[suffix]


class _Lines(Iterator[str]):
    """The lines of a text, counted; of one that is too long, its beginning."""

    def __init__(self, text: TextIO, uri: str) -> None:
        self.uri = uri
        self.number = 0
        self.chars = 0
        self.is_over = False
        self.has_cut = False
        self._text = text

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
            self.has_cut = True
            while (rest := self._text.readline(_MAX_LINE_CHARS)) and rest[-1] not in "\r\n":
                continue
        return line

    def take_cut(self) -> bool:
        """Whether a line was cut since this was last asked."""
        was_cut, self.has_cut = self.has_cut, False
        return was_cut


def _read_text(lines: _Lines, options: ManifestOptions) -> Iterator[Line]:
    for name in (options.uri_column, *options.carry_columns):
        if name is not None:
            option = "uri_column" if name == options.uri_column else "carry_columns"
            raise ConfigError(option, name, f"{lines.uri} is plain text and has no columns")
    for line in lines:
        problem = _LONG_LINE if lines.take_cut() else None
        if (value := line.strip()) or problem:
            yield Line(lines.number, value, problem=problem)


def _read_csv(lines: _Lines, options: ManifestOptions, delimiter: str = ",") -> Iterator[Line]:
    rows = csv.reader(lines, delimiter=delimiter)
    try:
        header = next(row for row in rows if row)
    except (StopIteration, csv.Error) as error:
        raise ConfigError("input_manifest", lines.uri, "it has no header row of CSV") from error
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


def _read_row(rows: Iterator[list[str]], lines: _Lines) -> tuple[list[str], str | None]:
    """The fields of a row, none at the end and of a blank line; and what is wrong with it."""
    try:
        row = next(rows, [])
    except csv.Error:  # the reader begins anew with the line after it
        return [], _LONG_LINE if lines.take_cut() else _NOT_CSV
    if lines.take_cut():
        return row, _LONG_LINE
    return row, _OPEN_QUOTE if row and lines.is_over else None  # it looks ahead only in a quote


def _read_jsonl(lines: _Lines, options: ManifestOptions) -> Iterator[Line]:
    texts = (line for line in lines if lines.has_cut or not line.isspace())
    first = next(texts, "")
    if not first:
        return
    parsed = (_parse(line, lines) for line in itertools.chain([first], texts))
    head = []
    for line in itertools.islice(parsed, _HEAD_LINES):
        head.append(line)
        if lines.chars > _HEAD_CHARS:
            break
    objects = [line.value for line in head if isinstance(line.value, dict)]
    if not objects or first.lstrip().startswith("["):
        problem = "it does not begin with JSON objects, one on each line, as JSONL does"
        raise ConfigError("input_manifest", lines.uri, problem)
    known = list(dict.fromkeys(itertools.chain.from_iterable(objects)))
    for option, name in asked_columns(options, known):
        if all(pick(fields, name, _ABSENT) is _ABSENT for fields in objects):
            raise refuse_column(option, name, known)
    for line in itertools.chain(head, parsed):
        yield _pick_columns(line, options)


def _parse(text: str, lines: _Lines) -> Line:
    """A line whose value is its JSON object; None where it has none."""
    if lines.take_cut():
        return Line(lines.number, None, problem=_LONG_LINE)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # the latter: 1,000 brackets
        fields = None
    if not isinstance(fields, dict):
        return Line(lines.number, None, problem=_NOT_AN_OBJECT)
    return Line(lines.number, fields)


def _pick_columns(line: Line, options: ManifestOptions) -> Line:
    if not isinstance(line.value, dict):
        return line
    carried = {name: pick(line.value, name) for name in options.carry_columns}
    try:
        encode_attributes(carried)  # what is nested as deeply as this cannot travel either
    except RecursionError:
        return Line(line.number, None, problem=_TOO_DEEP)
    return Line(line.number, pick(line.value, str(options.uri_column)), carried or None)


_Reader = Callable[[_Lines, ManifestOptions], Iterator[Line]]
_READERS: dict[str, _Reader] = {
    ".csv": _read_csv,
    ".tsv": functools.partial(_read_csv, delimiter="\t"),
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_jsonl,
    ".txt": _read_text,
    ".list": _read_text,
}
