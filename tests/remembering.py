"""Questions that Beam asks itself hundreds of times for each pipeline are answered once.

Each time something asks for an option, `PipelineOptions.view_as` builds a parser of all options of
a class; for each transform Beam looks several times through all methods of its `DoFn` for states
and timers, through their signatures and their source, and formats the stack; for each value that a
worker keeps it goes through all modules. Together they were half of the processor time of a job of
few images. The answers are the same; `beam/test_remembering.py` holds them beside Beam's own.
"""

import argparse
import bz2
import contextlib
import functools
import inspect
import sys
import traceback
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from apache_beam import DoFn
from apache_beam.internal import cloudpickle_pickler
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core, ptransform, userstate
from apache_beam.typehints import decorators
from objsize import traverse

Specs = tuple[set[userstate.StateSpec], set[userstate.TimerSpec]]
Function = Callable[..., Any]

_view_as = PipelineOptions.view_as
_get_dofn_specs = userstate.get_dofn_specs
_list_visible = PipelineOptions._visible_option_list
_get_signature = decorators.get_signature
_get_function_body = core._get_function_body_without_inners
_iterate_globals = traverse._iter_modules_globals

_SPECS: dict[type[DoFn], Specs] = {}
_SIGNATURES: weakref.WeakKeyDictionary[Function, dict[bool, inspect.Signature]]
_SIGNATURES = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def remember() -> Iterator[None]:
    """Beam remembers what flags mean to a class of options, and what functions are like."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipelineOptions, "view_as", view_as)
        patch.setattr(PipelineOptions, "_visible_option_list", list_visible)
        patch.setattr(userstate, "get_dofn_specs", get_dofn_specs)
        for module in (decorators, core, ptransform):
            patch.setattr(module, "get_signature", get_signature)
        patch.setattr(core, "_get_function_body_without_inners", get_function_body)
        patch.setattr(decorators, "traceback", types.SimpleNamespace(format_stack=format_stack))
        patch.setattr(traverse, "_iter_modules_globals", iterate_globals)
        patch.setattr(cloudpickle_pickler, "bz2", types.SimpleNamespace(**_BZ2))
        yield


def view_as(options: PipelineOptions, cls: type[PipelineOptions]) -> PipelineOptions:
    if options._flags is None:  # then it is the flags of the program, which may change
        return _view_as(options, cls)
    view = cls.__new__(cls)
    view._flags = options._flags
    # No two views have a list together but by the options that they are views of.
    values = {
        name: value.copy() if isinstance(value, list | dict) else value
        for name, value in _parse(cls, tuple(options._flags)).items()
    }
    view._visible_options = argparse.Namespace(**values)
    for name in view._visible_option_list():
        options._all_options.setdefault(name, values[name])
    view._all_options = options._all_options
    return view


def get_dofn_specs(dofn: DoFn) -> Specs:
    if any(isinstance(each, types.MethodType) for each in vars(dofn).values()):
        return _get_dofn_specs(dofn)  # a method of this object alone
    if type(dofn) not in _SPECS:
        _SPECS[type(dofn)] = _get_dofn_specs(dofn)
    states, timers = _SPECS[type(dofn)]
    return set(states), set(timers)


@functools.cache
def _parse(cls: type[PipelineOptions], flags: tuple[str, ...]) -> Mapping[str, Any]:
    return vars(cls(list(flags))._visible_options)


def list_visible(options: PipelineOptions) -> list[str]:
    values = options._visible_options
    if type(values) is not argparse.Namespace:
        return _list_visible(options)
    return sorted(name for name in vars(values) if name[0] != "_")


def get_signature(function: Any) -> inspect.Signature:
    is_bound = isinstance(function, types.MethodType)
    plain = function.__func__ if is_bound else function
    if not isinstance(plain, types.FunctionType) or vars(plain):  # it may wrap another
        return _get_signature(function)
    known = _SIGNATURES.setdefault(plain, {})
    if is_bound not in known:
        known[is_bound] = _get_signature(function)
    return known[is_bound]


def get_function_body(function: Any) -> str:
    plain = getattr(function, "__func__", function)
    if not isinstance(plain, types.FunctionType) or vars(plain):
        return _get_function_body(function)
    return _read_body(plain.__code__)


@functools.cache
def _read_body(code: types.CodeType) -> str:
    return _get_function_body(code)


def format_stack(limit: int) -> list[str]:
    """The innermost frames from who calls this, the outermost first."""
    frames: list[str] = []
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and len(frames) < limit:
        frames.append(_format_frame(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return frames[::-1]


@functools.cache
def _format_frame(code: types.CodeType, line: int) -> str:
    (text,) = traceback.format_list([traceback.FrameSummary(code.co_filename, line, code.co_name)])
    return text


def iterate_globals() -> Iterator[dict[str, Any]]:
    return iter(_list_globals(len(sys.modules)))


@functools.lru_cache(maxsize=1)
def _list_globals(modules: int) -> list[dict[str, Any]]:
    del modules  # once one is imported, they are listed again
    return list(_iterate_globals())


def compress(data: bytes, compresslevel: int = 9) -> bytes:
    """Of what is small all levels make the same, and the highest fills megabytes for it."""
    return _pack(data) if len(data) < _SMALL_BYTES else bz2.compress(data, compresslevel)


@functools.lru_cache(maxsize=1_000)
def _pack(data: bytes) -> bytes:
    return bz2.compress(data, 1)


_SMALL_BYTES = 50_000
_BZ2 = {"compress": compress, "decompress": bz2.decompress}
