"""CSV, TSV, JSONL and text manifests, packed or not: lines that name images."""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.json_bounds import is_too_deep
from imgcls_beam.listing.csv_manifests import Records
from imgcls_beam.listing.manifest_text import Lines, TextLine, open_lines
from imgcls_beam.listing.partitions import find_partitions
from imgcls_beam.listing.references import Line, asked_columns, pick, refuse_column
from imgcls_beam.options import ManifestOptions

PACKED_LINES = (".gz", ".bz2", ".xz")
_ABSENT = object()
_ARRAY = re.compile(r"\s*\[\s*(\{|$)")

_NOT_AN_OBJECT = "the line is not a JSON object"
_TOO_DEEP = "the line's carried columns are nested too deeply"


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """What the beginning of a file of a manifest says.

    Attributes:
        is_empty: whether it has no line but blank ones, and a header at most.
        columns: the names in its first lines; None where each file is read whatever they are.
        has_uri: whether one of the first lines has the column of URIs.
    """

    is_empty: bool
    columns: tuple[str, ...] | None = None
    has_uri: bool = True


def read_lines(file: ImageRef, options: ManifestOptions) -> Iterator[Line]:
    """Reads a manifest line by line; blank lines are left out.

    Raises:
        ConfigError: its suffix is none of these formats, it cannot be read to its end, it has no
            such column, or images are to be read out of it.
    """
    reader = _find_reader(file.uri)
    _check_options(file, options)
    with open_lines(file, options.encoding) as lines:
        yield from reader.read(lines, options, find_partitions(file.uri))


def look_at_lines(file: ImageRef, options: ManifestOptions) -> Head:
    """Looks at the beginning of a manifest; nothing else of it is read.

    Raises:
        ConfigError: as `read_lines`, as far as the beginning shows it.
    """
    reader = _find_reader(file.uri)
    _check_options(file, options)
    with open_lines(file, options.encoding) as lines:
        if reader.look is not None:
            return reader.look(lines, options)
        first = next(reader.read(lines, options, find_partitions(file.uri)), None)
        return Head(first is None)


def _check_options(file: ImageRef, options: ManifestOptions) -> None:
    if options.image_column is not None:
        problem = f"only Parquet holds images, and {file.uri} is something else; give uri_column"
        raise ConfigError("image_column", options.image_column, problem)


def _read_text(
    lines: Lines, options: ManifestOptions, partitions: Mapping[str, str | None]
) -> Iterator[Line]:
    for name in (options.uri_column, *options.carry_columns):
        if name is not None and (name == options.uri_column or name not in partitions):
            option = "uri_column" if name == options.uri_column else "carry_columns"
            raise ConfigError(option, name, f"{lines.uri} is plain text and has no columns")
    carried = {name: partitions[name] for name in options.carry_columns}
    for line in lines:
        if (value := line.text.strip()) or line.problem:
            yield Line(line.number, value, carried or None, line.problem)


def _read_csv(
    lines: Lines,
    options: ManifestOptions,
    partitions: Mapping[str, str | None],
    delimiter: str = ",",
) -> Iterator[Line]:
    records = Records(lines, delimiter)
    if records.problem:
        raise ConfigError("input_manifest", lines.uri, f"its header: {records.problem}")
    if not records.header:
        return
    found = {
        name: _find_index(records.header, option, name, lines.uri, partitions)
        for option, name in asked_columns(options, records.header)
    }
    uri_index = found[str(options.uri_column)]
    for record in records.read(uri_index):
        fields, problem = record.fields, record.problem
        if problem is None and uri_index >= len(fields):
            problem = (
                f"the line has {len(fields)} of {len(records.header)} fields, and no image's URI"
            )
        carried = {
            name: partitions.get(name) if found[name] < 0 else _pick_field(fields, found[name])
            for name in options.carry_columns
        }
        attributes = carried if carried and record.problem is None else None
        yield Line(record.number, _pick_field(fields, uri_index), attributes, problem)


def _find_index(
    header: list[str],
    option: str,
    name: str,
    uri: str,
    partitions: Mapping[str, str | None],
) -> int:
    """Which field a column is; -1 for a key of the file's path.

    Raises:
        ConfigError: there is no such column, or there are two.
    """
    if header.count(name) == 1:
        return header.index(name)
    if len(header) == 1 and (other := next((each for each in ";\t|" if each in header[0]), "")):
        problem = f"its fields lie between {other!r}; .csv has commas between them, .tsv tabs"
        raise ConfigError("input_manifest", uri, problem)
    if name in partitions and name not in header and option == "carry_columns":
        return -1
    raise refuse_column(option, name, header, uri)


def _pick_field(fields: list[str], index: int) -> str | None:
    return fields[index] if index < len(fields) else None


def _read_jsonl(
    lines: Lines, options: ManifestOptions, partitions: Mapping[str, str | None]
) -> Iterator[Line]:
    asked_columns(options, _list_names(_parse_head(lines)))
    for line in lines:
        if line.problem or not line.text.isspace():
            yield _pick_columns(_parse(line), options, partitions)


def _look_at_jsonl(lines: Lines, options: ManifestOptions) -> Head:
    """The names in the first lines.

    Raises:
        ConfigError: they are no JSON objects.
    """
    head = _parse_head(lines)
    if not head:
        return Head(True)
    names = _list_names(head)
    asked_columns(options, names)
    uri_column = str(options.uri_column)
    objects = [line.value for line in head if isinstance(line.value, dict)]
    has_uri = any(pick(fields, uri_column, _ABSENT) is not _ABSENT for fields in objects)
    return Head(False, tuple(names), has_uri)


def _parse_head(lines: Lines) -> list[Line]:
    text = [line for line in lines.head if line.problem or not line.text.isspace()]
    head = [_parse(line) for line in text]
    is_array = bool(text) and _ARRAY.match(text[0].text) is not None
    if head and (is_array or not any(isinstance(line.value, dict) for line in head)):
        problem = "it does not begin with JSON objects, one on each line, as JSONL does"
        if is_array:
            problem += "; jq -c '.[]' makes them of an array"
        raise ConfigError("input_manifest", lines.uri, problem)
    return head


def _list_names(head: list[Line]) -> list[str]:
    objects = (line.value for line in head if isinstance(line.value, dict))
    return list(dict.fromkeys(name for fields in objects for name in fields))


def _parse(line: TextLine) -> Line:
    """A line whose value is its JSON object; None where it has none."""
    if line.problem:
        return Line(line.number, None, problem=line.problem)
    if is_too_deep(line.text):
        return Line(line.number, None, problem=_TOO_DEEP)
    try:
        fields = json.loads(line.text)
    except (ValueError, RecursionError):  # the latter: from deep within somebody's program
        fields = None
    if not isinstance(fields, dict):
        return Line(line.number, None, problem=_NOT_AN_OBJECT)
    return Line(line.number, fields)


def _pick_columns(
    line: Line, options: ManifestOptions, partitions: Mapping[str, str | None]
) -> Line:
    """A line's URI and carried fields; one that is absent is null."""
    if not isinstance(line.value, dict):
        return line
    fields: dict[str, Any] = line.value
    carried = {name: pick(fields, name, partitions.get(name)) for name in options.carry_columns}
    try:
        encode_attributes(carried)  # what is nested as deeply as this cannot travel either
    except RecursionError:
        return Line(line.number, None, problem=_TOO_DEEP)
    return Line(line.number, pick(fields, str(options.uri_column)), carried or None)


@dataclasses.dataclass(frozen=True, slots=True)
class _Reader:
    """How a format is read; and how its beginning is looked at, where lines may lack columns."""

    read: Callable[[Lines, ManifestOptions, Mapping[str, str | None]], Iterator[Line]]
    look: Callable[[Lines, ManifestOptions], Head] | None = None


_JSONL = _Reader(_read_jsonl, _look_at_jsonl)
_TEXT = _Reader(_read_text)
_READERS: dict[str, _Reader] = {
    ".csv": _Reader(_read_csv),
    ".tsv": _Reader(functools.partial(_read_csv, delimiter="\t")),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _JSONL),
    **dict.fromkeys((".txt", ".list"), _TEXT),
}

SUFFIXES = tuple(_READERS)
_TABLES = tuple(suffix for suffix, reader in _READERS.items() if reader is not _TEXT)
PART_SUFFIXES = tuple(suffix + packed for suffix in _TABLES for packed in ("", *PACKED_LINES))
"""What a folder of part files is searched for. Text is not among them: it may be a README."""


def _find_reader(uri: str) -> _Reader:
    name = uri.lower()
    packed = next((suffix for suffix in PACKED_LINES if name.endswith(suffix)), "")
    suffix = "." + name.removesuffix(packed).rpartition(".")[2]
    if suffix not in _READERS:
        known, packings = ", ".join((*_READERS, ".parquet")), ", ".join(PACKED_LINES)
        problem = f"its suffix does not say its format; known: {known}; all but the last {packings}"
        raise ConfigError("input_manifest", uri, problem)
    return _READERS[suffix]
