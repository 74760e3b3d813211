"""Beam without what a local run does not use: clients of clouds and databases, and data frames.

`import apache_beam` imports each of them where it is installed, two thirds of its time, and does
without where it is not. A run on this machine is no job of a cloud: its reads and writes are this
package's own, through fsspec and BigQuery's client. So they are as if not installed while Beam is
imported, and no longer; what is imported later finds them.
"""

import contextlib
import functools
import importlib
import sys
import types
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from imgcls_beam.library_imports import leave_out_unused

from .beam_flags import parse_beam
from .runners import DEFAULT_RUNNER, find_runner

_NOT_USED = (
    "apache_beam.io.aws.s3filesystem",
    "apache_beam.io.azure.blobstoragefilesystem",
    "apache_beam.io.gcp.bigquery",
    "apache_beam.io.gcp.gcsfilesystem",
    "apache_beam.io.hadoopfilesystem",
    "apache_beam.ml.inference.model_manager",  # it imports torch, which an engine may not need
    "apitools",
    "bson",
    "google.cloud.dataflow",
    "pandas",
    "pymongo",
)
"""What Beam imports inside `try … except ImportError`."""

_USED = (
    "apache_beam",
    "apache_beam.ml.inference.base",
    "apache_beam.runners.portability.fn_api_runner.fn_runner",
)
_LOCAL_FLAGS = ("runner", "direct_")
"""How the names of flags begin that concern the local runner."""


def import_beam(arguments: Sequence[str]) -> None:
    """Imports Beam, for a plain local run without what that does not use.

    Args:
        arguments: Beam's own. With any that is not about the local runner Beam has all it may want.
    """
    if "apache_beam" in sys.modules or not is_plain(arguments):
        return
    with _leave_out(_NOT_USED):
        for name in _USED:
            importlib.import_module(name)
        importlib.import_module("pyarrow").array([])  # for which it looks for pandas, once
    leave_out_unused()  # by the model, when it is loaded


def is_plain(arguments: Sequence[str]) -> bool:
    """Whether Beam is asked for no more than to run on this machine."""
    flags = [each.lstrip("-").replace("-", "_") for each in arguments if each.startswith("-")]
    is_local = all(each.startswith(_LOCAL_FLAGS) for each in flags)
    return is_local and find_runner(parse_beam(arguments).runner) == DEFAULT_RUNNER


@contextlib.contextmanager
def _leave_out(names: Collection[str]) -> Iterator[None]:
    """Modules that cannot be imported meanwhile; those that are imported already stay."""
    finder: Any = types.SimpleNamespace(find_spec=functools.partial(_refuse, names))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _refuse(names: Collection[str], name: str, *places: object) -> None:
    """What an import asks first of all; None lets it ask others."""
    if name in names:
        raise ModuleNotFoundError(f"{name} is not imported here", name=name)
