"""JSON that others wrote, read within bounds: before a parser builds anything of it.

Twenty million empty lists are 60 MB of text and 4.7 GB of objects; Python 3.11 gives up at fewer
than 1,000 levels of nesting, and 3.12 at some 40,000. So the limits are our own.
"""

import json
import os
import pathlib
import re
import stat
from typing import Any

MAX_BYTES = 8 << 20
"""Of a file: the names of 21,843 classes, in both directions, are 1.7 MB."""
MAX_CONTAINERS = 100_000
"""Lists and objects in a file; each takes some 100 bytes, however short it is."""
MAX_LEVELS = 64
"""Of nesting in a file: those of models have five or so."""
MAX_LINE_LEVELS = 500
"""Of nesting in a line of a manifest or of a request file."""

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class JsonBoundsError(ValueError):
    """A text is beyond the bounds; the message goes after the name of what holds it."""


def load_bounded(data: bytes) -> Any:  # noqa: ANN401  any value of JSON
    """The value of a JSON text of UTF-8.

    Raises:
        JsonBoundsError: it is larger, deeper or of more parts than is read here.
        ValueError: it is no JSON.
    """
    if len(data) > MAX_BYTES:
        raise JsonBoundsError(f"is larger than {MAX_BYTES >> 20} MiB")
    text = data.decode("utf-8")
    containers, levels = _measure(text)
    if levels > MAX_LEVELS:
        raise JsonBoundsError(f"is nested deeper than {MAX_LEVELS} levels")
    if containers > MAX_CONTAINERS:
        raise JsonBoundsError(f"has more than {MAX_CONTAINERS:,} lists and objects")
    return json.loads(text)


def load_bounded_file(path: pathlib.Path) -> Any:  # noqa: ANN401  any value of JSON
    """The value of a JSON file; no more of it is read than is allowed.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which might never end.
        ValueError: see `load_bounded`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would be waited for
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path.name} is no regular file")
        return load_bounded(file.read(MAX_BYTES + 1))


def is_too_deep(text: str, levels: int = MAX_LINE_LEVELS) -> bool:
    """Whether a JSON text is nested deeper than so many levels; what is no JSON may be either."""
    if text.count("[") + text.count("{") <= levels:
        return False
    return _measure(text)[1] > levels


def _measure(text: str) -> tuple[int, int]:
    """How many lists and objects there are, and how deep they are nested; stops at too many."""
    containers = level = deepest = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in "[{":
            containers, level = containers + 1, level + 1
            deepest = max(deepest, level)
            if containers > MAX_CONTAINERS:
                break
        elif first in "]}":
            level -= 1
    return containers, deepest
