"""A command line → the flags of a parser, and the rest, which has to be Beam's.

Flags are spelled with underscores, as Beam's are; hyphens are accepted. A flag that is neither ours
nor one of Beam's, and looks like one of ours, is an error: Beam would drop it in silence. So is one
of ours that is given twice and has one value: argparse would drop the first.
"""

import argparse
import difflib
from collections.abc import Container, Iterator, Sequence

from imgcls_beam.errors import ConfigError

from .beam_flags import list_beam_names, parse_beam

_SIMILAR_RATIO = 0.75


def parse_known(
    parser: argparse.ArgumentParser, argv: Sequence[str]
) -> tuple[argparse.Namespace, list[str]]:
    """The flags that a parser knows, and the rest, which has to be Beam's.

    Raises:
        ConfigError: a word that belongs to no flag, a near miss of one of ours, or a value that
            Beam would not take.
        SystemExit: `--help` (0), or a flag without its value (2).
    """
    flags, rest = parse_own(parser, argv)
    _check_rest(rest, _list_names(parser))
    parse_beam(rest)
    return flags, rest


def parse_own(
    parser: argparse.ArgumentParser, argv: Sequence[str]
) -> tuple[argparse.Namespace, list[str]]:
    """The flags that a parser knows, however they are spelled, and the rest.

    Raises:
        ConfigError: a flag without its value, or one that has one value and is given twice: one of
            the two would be lost.
        SystemExit: `--help`.
    """
    names = _list_names(parser)
    words = [underscore(each, names) for each in argv]
    for action in parser._actions:
        if action.nargs == 0 or isinstance(action, argparse._AppendAction):
            continue
        values = [value for name in action.option_strings for value in _find_values(name, words)]
        if len(values) > 1:
            problem = f"it is given {len(values)} times; give it once"
            raise ConfigError(action.dest, tuple(values), problem)
    parser.exit_on_error = False  # it would print its usage, and end the program
    try:
        return parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        flag = str(error.argument_name).partition("/")[0]
        raise ConfigError("flag", flag, f"{error.message}; see {parser.prog} --help") from error


def _list_names(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in parser._actions for name in action.option_strings]


def _find_values(name: str, words: Sequence[str]) -> Iterator[str]:
    """Every value that a flag is given: `--flag=value`, or the word after `--flag`."""
    for word, after in zip(words, (*words[1:], ""), strict=False):
        flag, equals, value = word.partition("=")
        if flag == name:
            yield value if equals else after


def underscore(argument: str, names: Sequence[str]) -> str:
    """`--top-k=3` → `--top_k=3`, where that is one of our flags."""
    name, equals, value = argument.partition("=")
    spelled = "--" + name[2:].replace("-", "_")
    return f"{spelled}{equals}{value}" if name.startswith("--") and spelled in names else argument


def _check_rest(rest: Sequence[str], names: Sequence[str]) -> None:
    """Refuses what Beam would drop in silence.

    Raises:
        ConfigError: a word that belongs to no flag, or a near miss.
    """
    known_to_beam = list_beam_names()
    previous = ""
    for argument in rest:
        if argument.startswith("-"):
            _check_flag(argument, names, known_to_beam)
        elif not previous.startswith("-") or "=" in previous:
            problem = "it belongs to no flag; images are --input=…, a pattern in quotes"
            raise ConfigError("argument", argument, problem)
        previous = argument


def _check_flag(argument: str, names: Sequence[str], known_to_beam: Container[str]) -> None:
    flag = argument.partition("=")[0]
    name = flag.lstrip("-").replace("-", "_")
    if name in known_to_beam or name.removeprefix("no_") in known_to_beam:
        return
    ours = [*names, "--runner"]
    near = difflib.get_close_matches(f"--{name}", ours, 1, _SIMILAR_RATIO)
    if near:
        raise ConfigError("flag", flag, f"there is no such flag; did you mean {near[0]}?")


_ALSO = {"top_k": ", or all", "batch_size": ", or auto", "threads": ", or auto"}


def to_count(flag: str, text: str) -> int | None:
    """A number; None for `auto`."""
    return None if text == "auto" else to_int(flag, text)


def to_int(option: str, text: str) -> int:
    """An integer.

    Raises:
        ConfigError: the text is none.
    """
    try:
        return int(text)
    except ValueError as error:
        allowed = "an integer of 1 or more" + _ALSO.get(option, "")
        raise ConfigError(option, text, f"allowed: {allowed}") from error


def to_float(option: str, text: str, allowed: str = "a number from 0 to 1") -> float:
    """A number.

    Raises:
        ConfigError: the text is none.
    """
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(option, text, f"allowed: {allowed}") from error
