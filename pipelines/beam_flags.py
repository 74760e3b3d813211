"""Beam's own flags, known without Beam: importing it takes seconds, and a refusal should not.

They are read from the source of Beam's options: the names, how many words each takes, and the
values that may be told from the source. Beam parses them again, with all it knows, when a job runs.
"""

import argparse
import ast
import functools
import importlib.util
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from imgcls_beam.errors import ConfigError

_TYPES = {"int": int, "float": float, "json.loads": json.loads}
_LITERALS = ("dest", "nargs", "choices", "default", "const")
_PLAIN_ACTIONS = ("store", "store_true", "store_false", "append")


def parse_beam(arguments: Sequence[str]) -> argparse.Namespace:
    """The values of Beam's flags; those of other flags are left aside, as Beam does.

    Args:
        arguments: what none of our own flags took.

    Raises:
        ConfigError: a value that Beam would not take.
    """
    try:
        return _make_parser().parse_known_args(list(arguments))[0]
    except argparse.ArgumentError as error:
        flag = str(error.argument_name).partition("/")[0]
        raise ConfigError("flag", flag, f"{error.message}; it is one of Beam's") from error


def list_given(flags: argparse.Namespace) -> set[str]:
    """Names of the flags that have another value than Beam's own."""
    parser = _make_parser()
    return {name for name, value in vars(flags).items() if value != parser.get_default(name)}


@functools.cache
def list_beam_names() -> frozenset[str]:
    """Every name by which Beam knows an option: of its flags, and of their values."""
    actions = _make_parser()._actions
    flags = {flag.lstrip("-") for action in actions for flag in action.option_strings}
    return frozenset(flags | {action.dest for action in actions})


@functools.cache
def list_runners() -> tuple[str, ...]:
    """Paths of the classes of Beam's own runners."""
    for node in ast.walk(_read_options()):
        if isinstance(node, ast.Assign) and _name_of(node.targets[0]) == "ALL_KNOWN_RUNNERS":
            return tuple(ast.literal_eval(node.value))
    raise LookupError("Beam's options do not list its runners")


@functools.cache
def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, add_help=False, exit_on_error=False, conflict_handler="resolve"
    )
    for node in ast.walk(_read_options()):
        if isinstance(node, ast.Call) and _name_of(node.func) == "parser.add_argument":
            names = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
            if len(names) == len(node.args):
                parser.add_argument(*names, **dict(_read_keywords(node)))
    return parser


@functools.cache
def _read_options() -> ast.Module:
    """The source of Beam's options; its package is found, not imported."""
    spec = importlib.util.find_spec("apache_beam")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("apache_beam is not installed", name="apache_beam")
    folder = pathlib.Path(spec.submodule_search_locations[0])
    return ast.parse((folder / "options" / "pipeline_options.py").read_bytes())


def _read_keywords(call: ast.Call) -> Iterator[tuple[str, Any]]:
    """What is said of a flag, as far as it stands in the source as a value."""
    for keyword in call.keywords:
        name, value = str(keyword.arg), keyword.value
        if name == "type" and _name_of(value) in _TYPES:
            yield name, _TYPES[_name_of(value)]
        elif name == "action":
            action = value.value if isinstance(value, ast.Constant) else None
            yield name, action if action in _PLAIN_ACTIONS else "append"
        elif name in _LITERALS and _is_literal(value):
            yield name, ast.literal_eval(value)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _name_of(node: ast.expr) -> str:
    """`int`, `json.loads`, `parser.add_argument`; empty where it is no such name."""
    if isinstance(node, ast.Attribute):
        return f"{_name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
