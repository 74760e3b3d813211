"""Where rows go: a session stages files, and commits them by a run record.

What is a step of a pipeline is loaded when it is used: records are read without Beam.
"""

import importlib
from typing import TYPE_CHECKING, Any

from imgcls_beam.sinks.history import Selection
from imgcls_beam.sinks.jsonl_files import (
    JsonlFile,
    JsonlSession,
    abandon_jsonl,
    begin_jsonl,
    check_jsonl_free,
    check_jsonl_new,
)
from imgcls_beam.sinks.record import (
    RunRecord,
    read_record,
)
from imgcls_beam.sinks.record_parts import (
    RecordedEngine,
    RecordedFile,
    RecordedModel,
    RecordedPublication,
)
from imgcls_beam.sinks.run_paths import RunPaths, list_own, locate_record
from imgcls_beam.sinks.session import (
    Base,
    Session,
    abandon_output,
    abandon_session,
    begin_session,
    check_allowed,
    check_writable,
    find_missing_folders,
    give_up,
    is_committed,
    keep_unpublished,
)

if TYPE_CHECKING:
    from imgcls_beam.sinks.abandoning import abandon_on_error
    from imgcls_beam.sinks.jsonl import WriteJsonl
    from imgcls_beam.sinks.parquet import WriteParquet

_STEPS = {"WriteJsonl": "jsonl", "WriteParquet": "parquet", "abandon_on_error": "abandoning"}

__all__ = [
    "Base",
    "JsonlFile",
    "JsonlSession",
    "RecordedEngine",
    "RecordedFile",
    "RecordedModel",
    "RecordedPublication",
    "RunPaths",
    "RunRecord",
    "Selection",
    "Session",
    "WriteJsonl",
    "WriteParquet",
    "abandon_jsonl",
    "abandon_on_error",
    "abandon_output",
    "abandon_session",
    "begin_jsonl",
    "begin_session",
    "check_allowed",
    "check_jsonl_free",
    "check_jsonl_new",
    "check_writable",
    "find_missing_folders",
    "give_up",
    "is_committed",
    "keep_unpublished",
    "list_own",
    "locate_record",
    "read_record",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  PEP 562
    if name not in _STEPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_STEPS[name]}"), name)
