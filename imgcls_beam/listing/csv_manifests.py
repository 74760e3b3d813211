"""CSV and TSV: records of fields, and what is wrong with the others, line by line.

Python's csv module says neither where a quote was opened nor that it swallowed the lines up to the
next one. Here a quoted field may span lines, as long as none of them looks like a record of its
own. Else the line that opens the quote is refused, by its column, and the lines after it are read.

Quotes within quotes are doubled, as RFC 4180 has it; a line that is none that way is read with
backslashes before them, as Spark and MySQL write it. Blanks round fields are left out.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from imgcls_beam.listing.manifest_text import LONG_LINE, Lines, TextLine
from imgcls_beam.suffixes import IMAGE_SUFFIXES

MAX_FIELD_CHARS = 1 << 17
MAX_RECORD_LINES = 1000
_SHAPED_RECORDS = 64
"""So many records show how the manifest's URIs look."""

_BLANK = " \r\n"
_QUOTE = re.compile(r' *+"')
_DOUBLED = re.compile(r' *+"([^"]*+(?:""[^"]*+)*+)" *+')
_ESCAPED = re.compile(r' *+"([^"\\]*+(?:\\.[^"\\]*+)*+)" *+', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_RUNS = ((re.compile(r"[^\W\d_]+"), "a"), (re.compile(r"\d+"), "9"))

_LONG_QUOTE = (
    f"the line opens a quoted field of more than {MAX_RECORD_LINES:,} lines or "
    f"{MAX_FIELD_CHARS:,} characters"
)
_LONG_FIELD = f"one of the line's fields is longer than {MAX_FIELD_CHARS:,} characters"


class Record(NamedTuple):
    """One record.

    Attributes:
        number: of its first line, from 1.
        fields: without their quotes, and without the blanks round them.
        problem: why it cannot be used; None where it can.
    """

    number: int
    fields: list[str]
    problem: str | None = None


class _Fault(NamedTuple):
    """Why a text is no record: `column`, from 0, is where a quote was opened, or closed too early.

    An open quote may be closed by a line that follows; `field` is its number, from 0. One that goes
    on for longer than a field may be `is_long`.
    """

    is_open: bool
    column: int
    field: int
    is_long: bool = False

    def describe(self) -> str:
        """In a sentence, columns counted from 1."""
        if self.is_long:
            return f"{_LONG_QUOTE} (column {self.column + 1})"
        what = "has text behind a closing quote"
        if self.is_open:
            what = "opens a quote that is never closed, or only behind lines that are records too"
        return f'the line {what} (column {self.column + 1}); a quote within quotes is doubled: ""'


class Records:
    """The records of a CSV manifest, after its header."""

    def __init__(self, lines: Lines, delimiter: str) -> None:
        """Reads the header, which is empty where there is no line but blank ones."""
        self._lines = lines
        self._delimiter = delimiter
        self._uri_index = 0
        self._shapes: set[str] = set()
        self._width: int | None = None
        first = self._read()
        self.header = first.fields if first else []
        self.problem = first.problem if first else None
        self._width = len(self.header)

    def read(self, uri_index: int) -> Iterator[Record]:
        """Reads the other records; blank lines are left out.

        Args:
            uri_index: which field names the image. It tells what looks like a record.
        """
        self._uri_index = uri_index
        shaped = 0
        while record := self._read():
            if record.problem is None and shaped < _SHAPED_RECORDS:
                self._shapes.add(_find_shape(self._pick_uri(record.fields)))
                shaped += 1
            yield record

    def _read(self) -> Record | None:
        line = next((line for line in self._lines if line.problem or line.text.strip(_BLANK)), None)
        if line is None:
            return None
        if line.problem:
            return Record(line.number, [], line.problem)
        found = self._parse(line.text)
        if isinstance(found, _Fault) and found.is_open:
            found = self._join(line, found)
        if isinstance(found, _Fault):
            return Record(line.number, [], found.describe())
        return Record(line.number, found, self._find_problem(found))

    def _find_problem(self, fields: list[str]) -> str | None:
        if sum(map(len, fields)) > MAX_FIELD_CHARS and any(
            len(field) > MAX_FIELD_CHARS for field in fields
        ):
            return _LONG_FIELD
        width = self._width
        if width is None or not any(fields[width:]):
            return None
        return (
            f"the line has {len(fields)} fields, and the header {width}; "
            f"a field that holds {self._delimiter!r} stands in quotes"
        )

    def _parse(self, text: str) -> list[str] | _Fault:
        """The fields of a text, by the rule for quotes that gives as many as the header has."""
        text = text.rstrip("\r\n")
        if '"' not in text:
            return [field.strip(" ") for field in text.split(self._delimiter)]
        doubled = _split(text, self._delimiter, is_escaped=False)
        if isinstance(doubled, list) and len(doubled) == self._width:
            return doubled
        escaped = _split(text, self._delimiter, is_escaped=True) if "\\" in text else doubled
        if isinstance(escaped, _Fault):
            goes_on = isinstance(doubled, _Fault) and escaped.is_open
            return escaped if goes_on else doubled
        is_better = isinstance(doubled, _Fault) and not doubled.is_open
        return escaped if is_better or len(escaped) == self._width else doubled

    def _join(self, first: TextLine, fault: _Fault) -> list[str] | _Fault:
        """The fields of a record that goes on in the lines after the first one.

        A fault where it does not: the quote is never closed, or holds what are records themselves.
        The lines then come again, unless they are a field that is too long.
        """
        taken: list[TextLine] = []
        inner: list[str] = []
        text, field = first.text, fault.field
        while len(text) <= MAX_FIELD_CHARS and len(taken) < MAX_RECORD_LINES:
            line = next(self._lines, None)
            if line is None:
                break
            taken.append(line)
            if line.problem:
                break
            text += line.text
            found = self._parse(text) if '"' in line.text else _Fault(True, 0, field)
            if isinstance(found, _Fault) and found.is_open:
                inner += [line.text] if found.field == field else []
                field = found.field
                continue
            if isinstance(found, list):
                inner.append(first.text if fault.field < self._uri_index else line.text)
                if self._is_one(found, inner, fault.field):
                    return found
            break
        else:
            if not self._may_be_records(taken, fault.field):
                self._pass_over(field)
                return fault._replace(is_long=True)
        self._lines.give_back(taken)
        return fault

    def _may_be_records(self, lines: list[TextLine], field: int) -> bool:
        """Whether one of the lines behind an open quote may be a record of its own."""
        is_uri = field == self._uri_index  # no URI spans lines
        return self._width is None or is_uri or any(self._is_like_one(line.text) for line in lines)

    def _is_like_one(self, text: str) -> bool:
        """Whether a line has as many fields as the header, and what may be a URI among them."""
        for fields in (text.rstrip("\r\n").split(self._delimiter), self._parse(text)):
            if isinstance(fields, list) and len(fields) == self._width:
                uri = self._pick_uri(fields)
                return _is_uri(uri, self._shapes) if self._shapes else bool(uri)
        return False

    def _pass_over(self, field: int) -> None:
        """Takes the rest of a record in which a quote is open; up to what may be another one."""
        for line in self._lines:
            # What is behind an open quote is read as if the quote were opened there.
            found = self._parse(f'{self._delimiter * field}"{line.text}')
            if isinstance(found, list) and len(found) == self._width:
                return
            is_open = isinstance(found, _Fault) and found.is_open and line.problem != LONG_LINE
            if not is_open or self._is_like_one(line.text):
                self._lines.give_back([line])
                return
            field = found.field if isinstance(found, _Fault) else field

    def _is_one(self, fields: list[str], inner: list[str], field: int) -> bool:
        """Whether the fields of several lines are one record, and no line of them looks like one.

        A line does that has a URI where it belongs.

        Args:
            fields: of all of the lines.
            inner: the lines that lie in a quoted field; and the first one where the URI stands
                behind the quote that it opens, else the last one: they have no URI in a record.
            field: which field's quote goes over the first line's end.
        """
        if self._width not in (None, len(fields)) or field == self._uri_index:
            return self._width is None  # no URI spans lines
        shapes = {*self._shapes, _find_shape(self._pick_uri(fields))}
        split = (text.rstrip("\r\n").split(self._delimiter) for text in inner)
        return not any(
            len(parts) == self._width and _is_uri(self._pick_uri(parts), shapes) for parts in split
        )

    def _pick_uri(self, fields: list[str]) -> str:
        return fields[self._uri_index].strip(' "') if self._uri_index < len(fields) else ""


def _is_uri(text: str, shapes: set[str]) -> bool:
    """Whether a text looks like a URI of an image, or like those that were read before."""
    return "://" in text or text.lower().endswith(IMAGE_SUFFIXES) or _find_shape(text) in shapes


def _find_shape(text: str) -> str:
    """`img/mug-17.x` → `a/a-9.a`; of letters or digits alone, and nothing else, their number."""
    shape = text
    for pattern, letter in _RUNS:
        shape = pattern.sub(letter, shape)
    return f"{shape}{len(text)}" if shape in ("a", "9", "") else shape


def _split(text: str, delimiter: str, *, is_escaped: bool) -> list[str] | _Fault:
    """The fields of a text; quotes within quotes are doubled, or escaped by a backslash."""
    fields: list[str] = []
    position = 0
    while True:
        if _QUOTE.match(text, position):
            found = (_ESCAPED if is_escaped else _DOUBLED).match(text, position)
            if found is None:
                return _Fault(True, text.index('"', position), len(fields))
            end = found.end()
            if end < len(text) and text[end] != delimiter:
                return _Fault(False, end, len(fields))
            inner = found[1]
            fields.append(_ESCAPE.sub(r"\1", inner) if is_escaped else inner.replace('""', '"'))
        else:
            end = text.find(delimiter, position)
            end = len(text) if end < 0 else end
            fields.append(text[position:end].strip(" "))
        if end == len(text):
            return fields
        position = end + 1
