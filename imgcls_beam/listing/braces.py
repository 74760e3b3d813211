"""Braces in URLs, as shells and WebDataset have them: `{000..003}` and `{a,b}`."""

import re
from collections.abc import Iterator

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def expand_braces(text: str) -> Iterator[str]:
    """Gives the texts that a text with braces stands for, in order; else the text itself.

    A range of numbers has as many digits as its first or last one was given, and may run backwards.
    Braces with neither a range nor a comma stand for themselves, as in `{guid}.jpg`.
    """
    found = next((each for each in _BRACES.finditer(text) if _find_choices(each[1])), None)
    if found is None:
        yield text
        return
    for choice in _find_choices(found[1]) or ():
        yield from expand_braces(f"{text[: found.start()]}{choice}{text[found.end() :]}")


def has_range(text: str) -> bool:
    """Whether a text has a range of numbers in braces, which no file's name has by chance."""
    return "{" in text and any(_RANGE.fullmatch(each[1]) for each in _BRACES.finditer(text))


def _find_choices(inner: str) -> Iterator[str] | None:
    """What may stand in place of braces; None where they are a part of the name."""
    if bounds := _RANGE.fullmatch(inner):
        return _count(bounds[1], bounds[2])
    return iter(inner.split(",")) if "," in inner else None


def _count(first: str, last: str) -> Iterator[str]:
    is_padded = first.startswith("0") or last.startswith("0")
    width = max(len(first), len(last)) if is_padded else 0
    step = 1 if int(first) <= int(last) else -1
    return (f"{number:0{width}d}" for number in range(int(first), int(last) + step, step))
