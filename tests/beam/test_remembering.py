"""What `remembering` remembers for Beam is what Beam says by itself."""

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import StrUtf8Coder
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions
from apache_beam.transforms import userstate

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
