"""What a shell needs to complete `imgcls`: its programs, their flags, and the values of some.

::

    imgcls --completion bash > ~/.local/share/bash-completion/completions/imgcls
    imgcls --completion zsh > ~/.zfunc/_imgcls

It is made of the parsers that read the command line, by shtab.
"""

import argparse
import functools
import importlib
import re
from collections.abc import Sequence
from typing import Any

from imgcls_beam.checks import check_choice
from imgcls_beam.errors import ConfigError

SHELLS = ("bash", "zsh", "tcsh")

_ZSH_VALUE = re.compile(r"""^(  "--[a-z0-9_]+)(\[.*\]:[a-z0-9_]+:)""", re.MULTILINE)
"""A flag that takes a value, as shtab writes it for zsh: `--flag value`, and with a `=` behind its
name `--flag=value` too (zsh's manual, `_arguments`: "-optname=")."""
_FOLDERS, _FILES = ("output", "with_output"), ("input", "input_manifest", "requests", "to")


def render_completion(programs: Sequence[str], shell: str) -> str:
    """The script of a shell.

    Args:
        programs: by their names.
        shell: one of `SHELLS`.

    Raises:
        ConfigError: another shell, or shtab is not installed.
    """
    check_choice("completion", shell, SHELLS)
    try:
        import shtab
    except ImportError as error:
        problem = "shtab, which writes it, is not installed; pip install shtab"
        raise ConfigError("completion", shell, problem) from error
    root = argparse.ArgumentParser(prog="imgcls")
    root.add_argument("--version", action="store_true", help="versions of what has a say")
    parsers = root.add_subparsers(parser_class=functools.partial(_make_parser, shtab))  # type: ignore[call-overload]
    for name in programs:
        parsers.add_parser(name, help=f"imgcls {name} --help")
    script = str(shtab.complete(root, shell))
    return _ZSH_VALUE.sub(r"\1=\2", script) if shell == "zsh" else script


def _make_parser(shtab: Any, prog: str, **_: object) -> argparse.ArgumentParser:  # noqa: ANN401
    """The parser of the program that a sub-parser stands for, with what its flags may be."""
    from .metadata import CHOICES

    name = prog.split()[-1]
    module = "flags" if name == "classify" else f"{name}_flags"
    parser: argparse.ArgumentParser = importlib.import_module(
        f".{module}", __package__
    ).make_parser()
    for action in parser._actions:
        if action.dest in CHOICES and action.nargs is None:
            action.choices = CHOICES[action.dest]
        elif action.dest in (*_FOLDERS, *_FILES):
            action.complete = shtab.DIRECTORY if action.dest in _FOLDERS else shtab.FILE  # type: ignore[attr-defined]
    return parser
