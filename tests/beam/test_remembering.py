"""What `remembering` remembers for Beam is what Beam says by itself."""

import bz2
import functools
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import StrUtf8Coder
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions
from apache_beam.transforms import userstate
from apache_beam.typehints import decorators

from tests import remembering

FLAGS = [
    *("--runner=DirectRunner", "--experiments=one", "--experiments=two", "--direct_num_workers=2"),
    *("--no_use_public_ips", "--type_check_strictness=ALL_REQUIRED", "--unknown=1"),
]


def _list_classes(cls: type[PipelineOptions] = PipelineOptions) -> list[type[PipelineOptions]]:
    return [each for below in cls.__subclasses__() for each in (below, *_list_classes(below))]


@pytest.mark.parametrize("flags", [[], FLAGS], ids=["none", "some"])
def test_every_view_has_the_values_of_beams_own(flags: list[str]) -> None:
    for cls in _list_classes():
        remembered, own = PipelineOptions(flags), PipelineOptions(flags)
        view = remembering.view_as(remembered, cls)
        expected = remembering._view_as(own, cls)
        assert isinstance(view, cls)
        assert remembered._all_options == own._all_options
        assert view._visible_options == expected._visible_options


def test_what_is_set_by_one_view_is_in_the_others_and_in_no_other_options() -> None:
    with remembering.remember():
        first, second = PipelineOptions(FLAGS), PipelineOptions(FLAGS)
        first.view_as(DebugOptions).experiments.append("three")
        first.view_as(StandardOptions).streaming = True
        assert first.view_as(DebugOptions).experiments == ["one", "two", "three"]
        assert first.view_as(StandardOptions).streaming
        assert second.view_as(DebugOptions).experiments == ["one", "two"]
        assert not second.view_as(StandardOptions).streaming


_SEEN = userstate.BagStateSpec("seen", StrUtf8Coder())
_OTHER = userstate.BagStateSpec("other", StrUtf8Coder())
_GIVEN_SEEN, _GIVEN_OTHER = beam.DoFn.StateParam(_SEEN), beam.DoFn.StateParam(_OTHER)


class _Counting(beam.DoFn):
    def process(self, pair: tuple[str, str], seen: Any = _GIVEN_SEEN) -> None:
        del pair, seen

    def also(self, pair: tuple[str, str], other: Any = _GIVEN_OTHER) -> None:
        del pair, other


def test_states_are_those_that_beam_finds() -> None:
    plain, stateful = beam.Map(str).dofn, _Counting()
    of_an_object = beam.Map(stateful.also).dofn
    for dofn in (plain, stateful, of_an_object, plain, stateful):
        assert remembering.get_dofn_specs(dofn) == userstate.get_dofn_specs(dofn)
    assert remembering.get_dofn_specs(stateful) == ({_SEEN, _OTHER}, set())
    assert remembering.get_dofn_specs(plain) == (set(), set())


def test_names_of_options_are_those_that_beam_lists() -> None:
    for cls in _list_classes():
        options = PipelineOptions(FLAGS).view_as(cls)
        assert remembering.list_visible(options) == remembering._list_visible(options)


def _hinted(one: int, *more: str, last: bool = True) -> Iterator[str]:
    yield f"{one}{more}{last}"


@functools.wraps(_hinted)
def _wrapping(*given: Any) -> Any:
    return _hinted(*given)


FUNCTIONS: list[Callable[..., Any]] = [
    *(_hinted, _wrapping, functools.partial(_hinted, 1), lambda one, two=2: (one, two)),
    *(_Counting.process, _Counting().process, _Counting().also, str, str.upper, len, dict.get),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_signatures_are_those_that_beam_finds(function: Callable[..., Any]) -> None:
    for _ in range(2):
        assert remembering.get_signature(function) == remembering._get_signature(function)


@pytest.mark.parametrize("function", [each for each in FUNCTIONS if hasattr(each, "__code__")])
def test_bodies_are_those_that_beam_reads(function: Callable[..., Any]) -> None:
    for _ in range(2):
        assert remembering.get_function_body(function) == remembering._get_function_body(function)


def _hint(of: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(decorators, "traceback", of)
    return decorators.IOTypeHints.empty().with_input_types(int).origin


def test_a_type_hint_says_where_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = types.SimpleNamespace(format_stack=remembering.format_stack), traceback
    first, second = (_hint(of, monkeypatch) for of in ways)
    assert first == second
    assert any("_hint(of, monkeypatch) for of in ways" in line for line in first)


def _list_ids(ways: Callable[[], Iterator[dict[str, Any]]]) -> set[int]:
    """Of the globals of modules; some give others each time, which Beam cannot know either."""
    kept = [[*ways()], [*ways()]]
    return {id(first) for first, second in zip(*kept, strict=True) if first is second}


def test_modules_are_those_that_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        own = _list_ids(remembering._iterate_globals)
        assert own <= _list_ids(remembering.iterate_globals)
        assert id(vars(sys.modules[name])) in own


def test_what_is_small_is_as_small_and_all_is_read_by_what_beam_reads_with() -> None:
    words = " ".join(map(str, range(30_000))).encode()
    for data in (b"", b"word", words[:40_000], words):
        packed = remembering.compress(data)
        assert len(packed) == len(bz2.compress(data))
        assert bz2.decompress(packed) == data
