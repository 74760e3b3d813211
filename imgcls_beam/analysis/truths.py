"""What is on each image in truth: a carried column or a file → the labels' names.

The truth of an image is one label: its name, or its class id in the model (`id2label`). A name wins
over an id. A mapping gives names or ids for values that are neither.
"""

import collections
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from imgcls_beam.analysis.scored_rows import Integers
from imgcls_beam.errors import ConfigError

NO_TRUTH, UNKNOWN = -1, -2
"""In the place of a label's id: there is no truth, or it is no label of the model."""

_CLASS_ID = re.compile(r"([0-9]{1,9})(?:\.0+)?", re.ASCII)
"""A class id; tables that have gaps spell integers as 3.0."""
_SHOWN_COLUMNS = 8


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
    mapping: Mapping[str, str] | None = None,
) -> Truths:
    """Values → label ids.

    Args:
        values: of the rows.
        labels: that stand in the rows.
        read_labels: gives all names of the model by class index, or None where they cannot be had;
            asked only where a value is none of `labels`.
        mapping: from values to names or class ids; what it lacks is taken as it is.

    Raises:
        ConfigError: no value at all is a label.
    """
    mapped = [_map(value, mapping or {}) for value in values]
    ids = {name: index for index, name in enumerate(labels)}
    strange = sorted({each for each in mapped if each is not None} - ids.keys())
    if strange:
        ids = dict(_add_labels(strange, ids, read_labels()))
    unknown = collections.Counter(each for each in mapped if each is not None and each not in ids)
    found = [NO_TRUTH if each is None else ids.get(each, UNKNOWN) for each in mapped]
    if unknown and max(found) < 0:
        shown = ", ".join(map(repr, list(unknown)[:3]))
        problem = f"none of its values is a label or class id of the model: {shown}; give a mapping"
        raise ConfigError("truth_mapping", None, problem)
    names: dict[int, str] = {}
    for name, index in ids.items():
        names.setdefault(index, name)
    every = tuple(names[index] for index in range(len(names)))
    return Truths(every, np.array(found, np.int64), dict(unknown.most_common()))


def _add_labels(
    strange: Iterable[str], ids: Mapping[str, int], known: Sequence[str] | None
) -> Iterator[tuple[str, int]]:
    """The ids by name, and by what else means one of them: labels that no row has, class ids.

    Where the model's labels are not known, every name that is no number counts as one of them: the
    image is judged, and wrong.
    """
    count, names = len(ids), frozenset(known or ())
    yield from ids.items()
    by_name = dict(ids)
    for value in strange:
        number = _CLASS_ID.fullmatch(value)
        name = value
        if known is not None and value not in names:
            if number is None or int(number[1]) >= len(known):
                continue
            name = known[int(number[1])]
        elif known is None and number is not None:
            continue
        if name not in by_name:
            by_name[name] = count
            count += 1
            yield name, by_name[name]
        yield value, by_name[name]


def _map(value: str | None, mapping: Mapping[str, str]) -> str | None:
    """What it maps to; None for a value that maps to nothing. A mapping's 3 means 3.0, too."""
    if value is None:
        return None
    number = _CLASS_ID.fullmatch(value)
    spelled = number[1] if number and value not in mapping else value
    return mapping.get(spelled, value) or None


def _to_text(value: Any, column: str) -> str | None:  # noqa: ANN401  any value of JSON
    if isinstance(value, list) and len(value) < 2:
        value = value[0] if value else None
    if isinstance(value, list | dict):
        problem = "an image has several labels there; one label an image is evaluated"
        raise ConfigError("truth_column", column, problem)
    if value is None or isinstance(value, str):
        return value.strip() or None if value else None
    return json.dumps(value)
