"""What is found in the flags alone: runners that are not here, runners that are none, flags twice.

Nothing here may touch the network: every socket is refused.
"""

import pathlib
import socket
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError
from pipelines import arguments, flags, runners
from pipelines.__main__ import main

INPUT, OUTPUT = "--input=gs://bucket/photos", "--output=gs://bucket/labels"
MODEL = "--model=google/vit-base-patch16-224"
PLACES = (INPUT, OUTPUT, MODEL)
SERVICE = (
    *("--runner=DataflowRunner", "--project=my-project", "--region=us-central1"),
    *("--temp_location=gs://bucket/temp", "--sdk_container_image=us-docker.pkg.dev/p/i/imgcls:1"),
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []

    def refuse(*args: Any, **more: Any) -> Any:
        asked.append(args)
        raise ConnectionRefusedError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("CLOUDSDK_COMPUTE_REGION", raising=False)
    monkeypatch.setattr(runners.shutil, "which", lambda name: None)  # no gcloud
    return asked


def _refusal(capsys: pytest.CaptureFixture[str], *words: str, program: str = "classify") -> str:
    assert main([program, *words]) == 2
    printed = capsys.readouterr().err.splitlines()
    (sentence,) = [line for line in printed if line.startswith(f"imgcls {program}: ")]
    assert not any("Traceback" in line for line in printed)
    return sentence


@pytest.mark.parametrize(
    ("local", "option"),
    [
        ("--input={folder}", "input"),
        ("--input=file://{folder}", "input"),
        ("--input=memory://photos", "input"),
        ("--input=photos/*.jpg", "input"),
        ("--input_manifest={folder}/m.csv", "input_manifest"),
        ("--requests={folder}/r.jsonl", "requests"),
        ("--output={folder}/out", "output"),
        ("--output=out", "output"),
        ("--output_jsonl={folder}/a.jsonl", "output_jsonl"),
        ("--model={folder}", "model"),
        ("--model=./vit", "model"),
        ("--model=~/vit", "model"),
        ("--model=file:///models/vit", "model"),
        ("--model=local:///models/vit", "model"),
        ("--compare_with={folder}", "compare_with"),
    ],
)
def test_a_place_of_this_machine_is_refused_for_dataflow(
    local: str,
    option: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    no_network: list[Any],
) -> None:
    given = local.format(folder=tmp_path)
    others = [each for each in PLACES if each.partition("=")[0] != given.partition("=")[0]]
    sentence = _refusal(capsys, given, *others, *SERVICE)
    assert f"classify: {option}=" in sentence
    assert "workers do not see it" in sentence
    assert no_network == []


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ("--region", "--region"),
        ("--temp_location", "--temp_location=gs://…"),
        ("--sdk_container_image", "--sdk_container_image=IMAGE"),
        ("--project", "--project"),
    ],
)
def test_an_option_that_dataflow_needs_is_named(
    lacking: str, named: str, capsys: pytest.CaptureFixture[str], no_network: list[Any]
) -> None:
    given = [each for each in SERVICE if not each.startswith(lacking)]
    sentence = _refusal(capsys, *PLACES, *given)
    assert f"a job on Dataflow needs {named}" in sentence
    assert no_network == []


def test_all_options_that_lack_are_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = _refusal(capsys, *PLACES, "--runner=dataflow")
    for name in ("--region", "--temp_location", "--sdk_container_image", "--project"):
        assert name in sentence


def test_a_place_to_stage_into_is_a_bucket(capsys: pytest.CaptureFixture[str]) -> None:
    given = [each for each in SERVICE if not each.startswith("--temp_location")]
    assert "a gs:// place" in _refusal(capsys, *PLACES, *given, "--temp_location=/tmp/x")


@pytest.mark.parametrize(
    ("runner", "said"),
    [
        ("DataflowRuner", "did you mean DataflowRunner?"),
        ("Dataflow_Runner", "did you mean DataflowRunner?"),
        ("directruner", "did you mean DirectRunner?"),
        ("FlinkRuner", "did you mean FlinkRunner?"),
        ("Sparks", "did you mean SparkRunner?"),
        ("cloud", "there are DataflowRunner, "),
        ("apache_beam.runners.nowhere.NoRunner", "there is no such runner"),
        ("apache_beam.runners.runner.NoRunner", "there is no such runner"),
        ("nowhere.NoRunner", "there is no such runner"),
        ("tests.runners.NoRunner", "there is no such runner"),
        (".Runner", "there is no such runner"),
        ("a..b", "there is no such runner"),
        ("DaskRunner", "the last sink only"),
        ("dask", "the last sink only"),
    ],
)
def test_a_runner_that_is_none_is_refused_with_a_suggestion(
    runner: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: pathlib.Path,
    no_network: list[Any],
) -> None:
    places = [f"--input={tmp_path}", f"--output={tmp_path}/out", f"--runner={runner}"]
    assert said in _refusal(capsys, *places)
    assert no_network == []


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        (None, "FnApiRunner"),
        ("dataflow", "DataflowRunner"),
        ("dataflowrunner", "DataflowRunner"),
        ("apache_beam.runners.dataflow.dataflow_runner.DataflowRunner", "DataflowRunner"),
        ("Prism", "PrismRunner"),
        ("tests.flaky.FlakyStore", "tests.flaky.FlakyStore"),
    ],
)
def test_a_runner_is_known_however_it_is_spelled(spelled: str | None, name: str) -> None:
    assert runners.find_runner(spelled) == name


@pytest.mark.parametrize("name", ["TestDataflowRunner", "PrismRunner", "SparkRunner"])
def test_places_of_this_machine_are_taken_where_workers_may_be_here(name: str) -> None:
    assert not runners.goes_on_alone(name)


@pytest.mark.parametrize(
    ("program", "words", "option"),
    [
        ("classify", ("--model=a/b", "--model=c/d"), "model"),
        ("classify", ("--top_k=3", "--top-k=3"), "top_k"),
        ("classify", ("--output", "gs://b/o", "--output=gs://b/p"), "output"),
        ("retry", ("--run_id=a", "--run-id", "b"), "run_id"),
        ("doctor", ("--device=cpu", "--device=cuda"), "device"),
        ("sql", ("--format=csv", "--format=json"), "format"),
        ("template", ("show", "--image=a", "--image=b"), "image"),
    ],
)
def test_a_flag_that_is_given_twice_is_refused(
    program: str, words: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = _refusal(capsys, *words, program=program)
    assert sentence.startswith(f"imgcls {program}: {option}=(")
    assert "it is given 2 times; give it once" in sentence


def test_flags_that_may_be_repeated_still_may() -> None:
    parser = flags.make_parser()
    words = ["--input=a", "--input", "b", "--allow_scheme=http", "--allow-scheme=ftp"]
    parsed, rest = arguments.parse_known(parser, [*words, "--label=x", "--label=y"])
    assert (parsed.input, parsed.allow_scheme) == (["a", "b"], ["http", "ftp"])
    assert rest == ["--label=x", "--label=y"]  # Beam's


def test_a_value_that_reads_like_a_flag_is_none() -> None:
    parser = flags.make_parser()
    parsed, _ = arguments.parse_known(parser, ["--run_id=--model=x", "--model=a/b"])
    assert (parsed.run_id, parsed.model) == ("--model=x", "a/b")
    with pytest.raises(ConfigError, match="given 3 times"):
        arguments.parse_known(parser, ["--model=a", "--model=b", "--model=c"])
