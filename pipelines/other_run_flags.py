"""The flags that name another run or model beside the first."""

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import parse_table
from imgcls_beam.checks import check_text, check_url
from imgcls_beam.errors import ConfigError

from .run_flags import make_opener

if TYPE_CHECKING:
    from imgcls_beam.analysis import RunRows

_OTHERS = ("with", "with_output", "with_output_table", "with_model")


def add_other_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the other run."""
    add = parser.add_argument_group("with").add_argument
    add("--with", metavar="ID", help="the other run (with another place: its newest)")
    add("--with_model", metavar="M", help="model of the other; alone: another model of this run")
    add("--with_output", metavar="DIR", help="folder of the other run (the same)")
    add("--with_output_table", metavar="P.D.T", help="or its table")


def has_other(flags: argparse.Namespace) -> bool:
    """Whether another run or model is named."""
    return any(getattr(flags, name) is not None for name in _OTHERS)


def check_other_flags(flags: argparse.Namespace) -> None:
    """Checks the flags of the other run, and opens nothing.

    Raises:
        ConfigError: a value that cannot be one, or two places.
    """
    for name in _OTHERS:
        if getattr(flags, name) is not None:
            check_text(name, getattr(flags, name))
    if flags.with_output is not None:
        check_url("with_output", flags.with_output, ())
    if flags.with_output_table is not None:
        parse_table(flags.with_output_table, "with_output_table")
    if flags.with_output is not None and flags.with_output_table is not None:
        raise ConfigError("with_output", flags.with_output, "give a folder or a table")


def open_other(flags: argparse.Namespace, first: "RunRows") -> "RunRows":
    """The other run: of another place, by its name, or the first one, of which a model is meant.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    run_id = getattr(flags, "with")
    has_place = flags.with_output is not None or flags.with_output_table is not None
    if run_id is None and not has_place:
        return first
    place = argparse.Namespace(output=flags.output, output_table=flags.output_table)
    if has_place:
        place = argparse.Namespace(output=flags.with_output, output_table=flags.with_output_table)
    with _name_own_flags(has_place):
        return make_opener(place)(run_id)


@contextlib.contextmanager
def _name_own_flags(has_place: bool) -> Iterator[None]:
    """A refusal names the flag that was given: `with` in the place of `run_id`."""
    names = {"run_id": "with"}
    if has_place:
        names |= {"output": "with_output", "output_table": "with_output_table"}
    try:
        yield
    except ConfigError as error:
        if error.option not in names:
            raise
        raise ConfigError(names[error.option], error.value, error.problem) from error
