"""Two questions that Beam asks itself hundreds of times for each pipeline are answered once.

Each time something asks for an option, `PipelineOptions.view_as` builds a parser of all options of
a class; and for each transform Beam looks several times through all methods of its `DoFn` for
states and timers. Both were more than a third of the processor time of a job of few images. The
answers are the same; `beam/test_remembering.py` holds them beside Beam's own.
"""

import argparse
import contextlib
import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from apache_beam import DoFn
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import userstate

Specs = tuple[set[userstate.StateSpec], set[userstate.TimerSpec]]

_view_as = PipelineOptions.view_as
_get_dofn_specs = userstate.get_dofn_specs
_SPECS: dict[type[DoFn], Specs] = {}


@contextlib.contextmanager
def remember() -> Iterator[None]:
    """Beam remembers what flags mean to a class of options, and the states of a class of `DoFn`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipelineOptions, "view_as", view_as)
        patch.setattr(userstate, "get_dofn_specs", get_dofn_specs)
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
