"""The licence of a model, where its card says it."""

import contextlib
import pathlib
import re

from imgcls_beam.errors import ConfigError
from imgcls_beam.models import hub
from imgcls_beam.scoring import ModelSource

_CARD = "README.md"
_MAX_CARD_BYTES = 1 << 20
_HEAD = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)
"""The YAML that a card begins with, as the hub reads it."""
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([\w.+-]+)", re.MULTILINE)
_SHOWN_CHARS = 60


def find_licence(source: ModelSource) -> str | None:
    """What the card of a model calls its licence, e.g. `apache-2.0`; None where it does not say."""
    with contextlib.suppress(ConfigError, OSError):
        if source.commit is not None:
            return hub.read_licence(source.location, source.commit)
        with pathlib.Path(source.location, _CARD).open("rb") as file:
            text = file.read(_MAX_CARD_BYTES).decode("utf-8", "replace")
        head = _HEAD.search(text)
        found = _LICENCE.search(head[1]) if head else None
        return found[1][:_SHOWN_CHARS] if found else None
    return None
