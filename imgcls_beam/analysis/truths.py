"""What is on each image in truth: a carried column or a file → the labels' names.

The truth of an image is one label: its name, or its class id in the model (`id2label`). A name wins
over an id. A mapping gives names or ids for values that are neither. Blanks around a value, and
around a name, count only where a name is just the same.
"""

import collections
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from imgcls_beam.analysis.scored_rows import Integers
from imgcls_beam.errors import ConfigError
from imgcls_beam.masking import mask_secrets

NO_TRUTH, UNKNOWN = -1, -2
"""In the place of a label's id: there is no truth, or it is no label of the model."""

_CLASS_ID = re.compile(r"([0-9]{1,9})(?:\.0+)?", re.ASCII)
"""A class id; tables that have gaps spell integers as 3.0."""
_SHOWN_COLUMNS, _SHOWN_VALUES = 8, 3


@dataclasses.dataclass(frozen=True, slots=True)
class TruthOptions:
    """Where the truth is.

    Attributes:
        column: of the carried columns; None where it is a file.
        file: path or URL, see `truth_files`; None where it is a column.
        mapping: path or URL of a mapping from values to labels.

    Raises:
        ConfigError: neither is given, or both.
    """

    column: str | None = None
    file: str | None = None
    mapping: str | None = None

    def __post_init__(self) -> None:
        """Checks that there is one source."""
        if (self.column is None) == (self.file is None):
            problem = "name the carried column that has the truth, or give --truth_file; one of two"
            raise ConfigError("truth_column", self.column, problem)

    @property
    def source(self) -> tuple[str, str | None]:
        """The option that names it, and its value."""
        if self.file is None:
            return "truth_column", self.column
        return "truth_file", self.file


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """The truth of N rows.

    Attributes:
        labels: names by label id: those of the rows, and then those that are truths only.
        ids: the label of each row, N; `NO_TRUTH` or `UNKNOWN`.
        unknown: values that are no label, and how many rows have each.
    """

    labels: tuple[str, ...]
    ids: Integers
    unknown: Mapping[str, int]

    @property
    def without(self) -> int:
        """How many rows have no truth."""
        return int(np.count_nonzero(self.ids == NO_TRUTH))


def find_carried(attributes: pa.ChunkedArray, column: str) -> list[str | None]:
    """The values of a carried column, as text; None where there is none.

    Args:
        attributes: what each row carries, as JSON; null where nothing.
        column: its name.

    Raises:
        ConfigError: no row carries it, or a value is none of one label.
    """
    found: list[str | None] = []
    seen: set[str] = set()
    for text in attributes.to_pylist():
        carried = json.loads(text) if text else {}
        seen.update(carried)
        found.append(_to_text(carried.get(column), column))
    if column not in seen and found:
        names = ", ".join(sorted(seen)[:_SHOWN_COLUMNS]) or "nothing"
        problem = f"no row carries it; rows carry {names}; see --carry_columns of imgcls classify"
        raise ConfigError("truth_column", column, problem)
    return found


def find_by_uri(uris: pa.ChunkedArray, truths: Mapping[str, str]) -> list[str | None]:
    """The truth of each image, by its URI; None where the file has none."""
    return [truths.get(uri) for uri in uris.to_pylist()]


def resolve_truths(
    values: Sequence[str | None],
    labels: Sequence[str],
    read_labels: Callable[[], Sequence[str] | None],
    asked: TruthOptions,
    mapping: Mapping[str, str] | None = None,
) -> Truths:
    """Values → label ids.

    Args:
        values: of the rows.
        labels: that stand in the rows.
        read_labels: gives all names of the model by class index, or None where they cannot be had;
            asked only where a value is none of `labels`.
        asked: where the values and the mapping are from, for what is said of them.
        mapping: from values to names or class ids; what it lacks is taken as it is.

    Raises:
        ConfigError: no value at all is a label.
    """
    mapped = [_map(value, mapping or {}) for value in values]
    distinct = sorted({each for each in mapped if each is not None})
    meant = _match(distinct, labels)
    strange = [each for each in distinct if each not in meant]
    known = read_labels() if strange else None
    if strange:
        meant |= _match_beyond(strange, known)
    unknown = collections.Counter(
        each.strip() for each in mapped if each is not None and each not in meant
    )
    if unknown and not meant:
        is_mapped = any(a != b for a, b in zip(values, mapped, strict=True) if b is not None)
        raise _refuse(list(unknown), known, asked, is_mapped=is_mapped)
    every = tuple(dict.fromkeys((*labels, *meant.values())))
    ids = {name: index for index, name in enumerate(every)}
    id_of = {None: NO_TRUTH} | {value: ids[name] for value, name in meant.items()}
    found = [id_of.get(each, UNKNOWN) for each in mapped]
    return Truths(every, np.array(found, np.int64), dict(unknown.most_common()))


def _refuse(
    unknown: Sequence[str], known: Sequence[str] | None, asked: TruthOptions, *, is_mapped: bool
) -> ConfigError:
    """The error of truths of which none is a label, and what helps."""
    option, value = ("truth_mapping", asked.mapping) if is_mapped else asked.source
    of_what = "the labels that it gives" if is_mapped else "its values"
    shown = _show(unknown)
    if known is None:  # all are numbers, see `_match_beyond`
        problem = f"{of_what} are class ids ({shown}), and the model's config.json, which says "
        problem += "what they mean, cannot be read; make it readable, or "
        names = (
            "give a --truth_mapping that says" if asked.mapping is None else "let the mapping say"
        )
        return ConfigError(option, value, f"{problem}{names} which labels these ids are")
    problem = f"none of {of_what} is a label or class id of the model: {shown}; "
    problem += f"it has {len(known):,} labels, {_show(known)}"
    if is_mapped:
        remedy = "correct the mapping"
    elif asked.mapping is not None:
        remedy = f"the mapping {mask_secrets(asked.mapping)} has none of these values, either"
    else:
        remedy = f"give another {option.partition('_')[2]}, or a --truth_mapping to its labels"
    return ConfigError(option, value, f"{problem}; {remedy}")


def _show(texts: Sequence[str]) -> str:
    """The first of them."""
    more = ", …" if len(texts) > _SHOWN_VALUES else ""
    return ", ".join(map(repr, texts[:_SHOWN_VALUES])) + more


def _match(values: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """The name that each value means: the same text or, if there is none, but for blanks around.

    Of several names that are alike but for blanks it is the one without, else the first by text,
    whatever the order of the rows. `schemas/evaluation.template.sql` says the same in SQL.
    """
    by_text = sorted(names, key=lambda name: (name != name.strip(), name), reverse=True)
    same, stripped = frozenset(names), {name.strip(): name for name in by_text}
    meant = {each: each if each in same else stripped.get(each.strip()) for each in values}
    return {value: name for value, name in meant.items() if name is not None}


def _match_beyond(strange: Sequence[str], known: Sequence[str] | None) -> dict[str, str]:
    """What else means a label: names that no row has, and class ids.

    Where the model's labels are not known, every name that is no number counts as one of them: the
    image is judged, and wrong.
    """
    numbers = {each: _CLASS_ID.fullmatch(each.strip()) for each in strange}
    if known is None:
        return {each: each.strip() for each, number in numbers.items() if number is None}
    meant = _match(strange, known)
    for value, number in numbers.items():
        if value not in meant and number is not None and int(number[1]) < len(known):
            meant[value] = known[int(number[1])]
    return meant


def _map(value: str | None, mapping: Mapping[str, str]) -> str | None:
    """What it maps to; None for a value that maps to nothing. A mapping's 3 means 3.0, too."""
    if value is None or not mapping:
        return value
    number = _CLASS_ID.fullmatch(value.strip())
    for spelled in (value, value.strip(), number[1] if number else value):
        if spelled in mapping:
            return mapping[spelled] if mapping[spelled].strip() else None
    return value


def _to_text(value: Any, column: str) -> str | None:  # noqa: ANN401  any value of JSON
    if isinstance(value, list) and len(value) < 2:
        value = value[0] if value else None
    if isinstance(value, list | dict):
        problem = "an image has several labels there; one label an image is evaluated"
        raise ConfigError("truth_column", column, problem)
    if value is None or isinstance(value, str):
        return value if value and value.strip() else None
    return json.dumps(value)
