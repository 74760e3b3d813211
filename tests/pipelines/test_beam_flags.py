"""What is read of Beam's flags without Beam, beside Beam's own parser."""

import argparse
import inspect
from typing import Any

import pytest
from apache_beam.options import pipeline_options
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from imgcls_beam.errors import ConfigError
from pipelines import beam_flags

CLASSES = [
    each
    for _, each in inspect.getmembers(pipeline_options, inspect.isclass)
    if issubclass(each, PipelineOptions) and "_add_argparse_args" in vars(each)
]


def list_beams_own(kind: type[PipelineOptions]) -> dict[str, argparse.Action]:
    """Beam's own actions of a class of options, by the name of each flag."""
    parser = pipeline_options._BeamArgumentParser(allow_abbrev=False, add_help=False)
    kind._add_argparse_args(parser)
    return {flag: action for action in parser._actions for flag in action.option_strings}


def list_read() -> dict[str, argparse.Action]:
    parser = beam_flags._make_parser()
    return {flag: action for action in parser._actions for flag in action.option_strings}


def facts_of(action: argparse.Action) -> dict[str, Any]:
    return {"dest": action.dest, "nargs": action.nargs}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_flags_are_beams_own(kind: type[PipelineOptions]) -> None:
    read = list_read()
    for flag, action in list_beams_own(kind).items():
        assert facts_of(read[flag]) == facts_of(action), flag
        assert read[flag].choices in (None, action.choices), flag
        assert read[flag].type in (None, action.type), flag
        assert read[flag].default in (None, action.default), flag


def test_no_flag_is_read_that_beam_lacks() -> None:
    own = {flag for kind in CLASSES for flag in list_beams_own(kind)}
    assert len(own) > 150
    assert list_read().keys() == own


def test_every_option_that_beam_knows_is_known() -> None:
    """But for those of modules of Beam that are not imported here, such as its YAML."""
    own = {action.dest for kind in CLASSES for action in list_beams_own(kind).values()}
    asked = set(PipelineOptions([]).get_all_options())
    elsewhere = {
        action.dest
        for kind in PipelineOptions.__subclasses__()
        if kind.__module__ != pipeline_options.__name__
        for action in list_beams_own(kind).values()
    }
    assert len(asked & own) > 100
    assert asked - elsewhere - beam_flags.list_beam_names() == set()


def test_runners_are_beams_own() -> None:
    assert beam_flags.list_runners() == tuple(StandardOptions.ALL_KNOWN_RUNNERS)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--runner=DataflowRunner", "--region", "r"], "region"),
        (["--experiments=a,b", "--experiments", "c"], "experiments"),
        (["--direct_num_workers=2"], "direct_num_workers"),
        (["--no_use_public_ips"], "use_public_ips"),
        (["--temp_location=gs://b/t", "--unknown=3"], "temp_location"),
        (["--job-name=x"], "job_name"),
        (["--worker_machine_type=m"], "machine_type"),
        (["--environment_options", "a=b"], "environment_options"),
    ],
)
def test_a_flag_is_given_where_beam_sees_it_given(words: list[str], name: str) -> None:
    theirs = PipelineOptions(words).get_all_options(drop_default=True)
    given = beam_flags.list_given(beam_flags.parse_beam(words))
    assert (name in given) == (name in theirs)
    assert given <= theirs.keys()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--direct_num_workers=two", "invalid int value: 'two'"),
        ("--direct_running_mode=fast", "invalid choice: 'fast'"),
        ("--region", "expected one argument"),
        ("--save_main_session=maybe", "ignored explicit argument 'maybe'"),
    ],
)
def test_a_value_that_beam_would_not_take_is_refused(word: str, said: str) -> None:
    with pytest.raises(SystemExit):
        PipelineOptions([word]).get_all_options()
    with pytest.raises(ConfigError) as refused:
        beam_flags.parse_beam([word])
    assert said in str(refused.value)
    assert word.partition("=")[0] in str(refused.value)
