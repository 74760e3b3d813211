"""Which setting of a model's file is to blame, found by trying the library's own in its place."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_MAX_SUSPECTS, _SHOWN_CHARS = 60, 40
_TAKEN_OUT = object()
"""Stands for the own value of a setting that the library has not."""


def find_misfits(
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    build: Callable[[dict[str, Any]], object],
    faults: tuple[type[Exception], ...],
    *,
    is_thorough: bool = True,
) -> list[str]:
    """Names the settings without which something can be made.

    A setting is suspected where it is null, another type than the library's own value, or a list of
    another length; then, alone, where it is another value, or one that the library has not.

    Args:
        given: the settings of a file; objects within it are looked into.
        defaults: the library's own values.
        build: makes something of settings.
        faults: what it raises.
        is_thorough: whether those are suspected, too, that look as they should.

    Returns:
        The first setting that alone is to blame, its name dotted where it lies in another; where
        there is none, all that are suspected, if they are to blame together; else nothing.
    """
    with contextlib.suppress(*faults):
        build(dict(given))
        return []
    suspects = dict(itertools.islice(_find_suspects(given, defaults), _MAX_SUSPECTS))
    others: dict[str, Any] = {}
    if is_thorough:
        found = ((name, own) for name, own in _find_others(given, defaults) if name not in suspects)
        others = dict(itertools.islice(found, _MAX_SUSPECTS))
    for names in (*_choose(list(suspects)), *([name] for name in others)):
        mended: Any = given
        for name in names:
            mended = _replace(mended, name.split("."), {**suspects, **others}[name])
        with contextlib.suppress(*faults):
            build(mended)
            return names
    return []


def show_setting(settings: Mapping[str, Any], name: str) -> str:
    """The value of a setting, as JSON, by a name that `find_misfits` gave."""
    value: Any = settings
    for part in name.split("."):
        value = value[part]
    return json.dumps(value)[:_SHOWN_CHARS]


def _find_suspects(
    given: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Dotted names of settings that look odd, and the library's own values."""
    for name, own in defaults.items():
        if name not in given:
            continue
        if isinstance(given[name], dict) and isinstance(own, dict):
            yield from _find_suspects(given[name], own, f"{prefix}{name}.")
            if own.keys() - given[name].keys():
                yield f"{prefix}{name}", own
        elif _is_odd(given[name], own):
            yield f"{prefix}{name}", own


def _find_others(
    given: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """The same of settings that are not the library's own, however they look."""
    for name, value in given.items():
        own = defaults.get(name, _TAKEN_OUT)
        if isinstance(value, dict) and isinstance(own, dict):
            yield from _find_others(value, own, f"{prefix}{name}.")
        elif value != own and "." not in name:
            yield f"{prefix}{name}", own


def _replace(settings: Mapping[str, Any], path: list[str], value: object) -> dict[str, Any]:
    name, *rest = path
    if not rest and value is _TAKEN_OUT:
        return {each: settings[each] for each in settings if each != name}
    return {**settings, name: _replace(settings[name], rest, value) if rest else value}


def _choose(suspects: list[str]) -> Iterator[list[str]]:
    yield from ([each] for each in suspects)
    if len(suspects) > 1:
        yield suspects


def _is_odd(value: object, own: object) -> bool:
    if value is None or own is None:
        return value is not own
    if isinstance(value, list | tuple) and isinstance(own, list | tuple):
        return len(value) != len(own)
    if isinstance(value, int | float) and isinstance(own, int | float):
        return isinstance(value, bool) != isinstance(own, bool) or value <= 0
    return not isinstance(value, type(own))
