"""`--json` on every program: one object on standard output, nothing else, whatever happens."""

import json
import pathlib
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from pipelines.__main__ import _PROGRAMS, main
from schemas import load_schema
from tests.scenes import write_broken, write_photos

Out = pytest.CaptureFixture[str]


def ask(capsys: Out, *argv: str) -> dict[str, Any]:
    """What a program answers, held against its schema; its exit code is that of the object."""
    capsys.readouterr()
    code = main([*argv, "--json"])
    printed = capsys.readouterr().out
    answer: dict[str, Any] = json.loads(printed)
    jsonschema.Draft202012Validator(load_schema(f"{argv[0]}.answer")).validate(answer)
    assert (answer["program"], answer["exit_code"]) == (argv[0], code)
    return answer


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 6)
    write_broken(folder, 3)
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture
def job(photos: pathlib.Path, vit_folder: pathlib.Path, tmp_path: pathlib.Path) -> list[str]:
    return [f"--input={photos}", f"--output={tmp_path}/out", f"--model={vit_folder}"]


@pytest.mark.parametrize("program", _PROGRAMS)
def test_each_program_has_a_schema_that_is_one_and_closed(program: str) -> None:
    schema = load_schema(f"{program}.answer")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"{program}.answer.json"
    assert schema["additionalProperties"] is False
    assert not jsonschema.Draft202012Validator(schema).is_valid({"program": program})


@pytest.mark.parametrize("program", _PROGRAMS)
def test_a_refusal_is_an_object_too(program: str, capsys: Out) -> None:
    answer = ask(capsys, program, "--top_kk=3")
    assert answer["exit_code"] == 2
    assert answer["error"]["kind"] == "usage"
    assert answer["error"]["option"]


@pytest.mark.parametrize("argv", [("classify", "--input"), ("sql", "--output"), ("template",)])
def test_a_line_that_is_not_complete_is_an_object_too(argv: tuple[str, ...], capsys: Out) -> None:
    assert ask(capsys, *argv)["error"]["kind"] == "usage"


@pytest.mark.slow
def test_classify_answers_with_the_run(job: list[str], capsys: Out) -> None:
    answer = ask(capsys, "classify", *job, "--run_id=a", "--quiet")
    assert answer["exit_code"] == 3
    assert answer["run"]["counts"] == {"listed": 9, "ok": 6, "error": 3, "skipped": 0}
    first = {
        each["code"]: each["first_image_uri"].rpartition("/")[2] for each in answer["run"]["errors"]
    }
    assert first == {"empty": "broken-0-empty.jpg", "not_an_image": "broken-1-page.jpg"}
    assert answer["run"]["passed_over"][0]["count"] == 1
    assert answer["run"]["images_per_s"] > answer["run"]["images_per_s_with_start_up"] > 0
    assert pathlib.Path(answer["places"]["record"]).exists()
    assert {each["status"] for each in answer["sample"]} == {"ok", "error"}
    again = ask(capsys, "classify", *job, "--run_id=a")
    assert (again["exit_code"], again["error"]["option"]) == (2, "run_id")

    output = job[1]
    retried = ask(capsys, "retry", output, "--run_id=a")
    assert retried["run"]["counts"]["error"] == 3
    assert retried["run"]["retried"] == {"tried": 3, "good_now": 0, "still_failing": 3}
    assert main(["retry", output, "--run_id=a"]) == 3
    assert "tried again: 3, good now: 0, 3 of the run still failing" in capsys.readouterr().out
    asked = ask(capsys, "sql", output, "select status, count(*) n from predictions group by all")
    assert {each["status"]: each["n"] for each in asked["rows"]} == {"ok": 6, "error": 3}
    assert ask(capsys, "sql", output, "select 1 where false")["rows"] == []
    assert ask(capsys, "sql", output, "select nothing")["error"]["kind"] == "run"
    assert "create" in ask(capsys, "sql", output)["views"].lower()


def test_a_run_of_responses_alone_says_what_it_knows(
    job: list[str], tmp_path: pathlib.Path, capsys: Out
) -> None:
    answer = ask(capsys, "classify", job[0], job[2], f"--output_jsonl={tmp_path}/r.jsonl")
    assert answer["run"]["counts"]["ok"] == 6
    assert answer["places"]["responses"] == f"{tmp_path}/r.jsonl"
    assert (answer["run"]["errors"], answer["next"], answer["sample"]) == (None, [], [])


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_dry_run_shows_the_first_image_and_writes_nothing(
    is_broken: bool, photos: pathlib.Path, job: list[str], tmp_path: pathlib.Path, capsys: Out
) -> None:
    name = "broken-0-empty.jpg" if is_broken else "0000.jpg"
    flags = [f"--input={photos}/{name}", *job[1:], "--top_k=2", "--dry_run"]
    tried = ask(capsys, "classify", *flags)["dry_run"]
    assert tried["listed"]["uri"].endswith(name)
    assert tried["row"]["status"] == ("error" if is_broken else "ok")
    assert (tried["read"] is None) is is_broken
    assert len(tried["row"]["predictions"]) == (0 if is_broken else 2)
    assert not (tmp_path / "out").exists()
    assert main(["classify", *flags]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("nothing was written\n")
    assert ("not: see the row's error" in printed) is is_broken
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_doctor_and_template_answer(job: list[str], capsys: Out) -> None:
    answer = ask(capsys, "doctor", *job)
    assert (answer["problems"], answer["exit_code"]) == (0, 0)
    assert [each["name"] for each in answer["checks"]][-1] == "model"
    answer = ask(capsys, "doctor", job[0], "--model=/nonexistent/model")
    assert [each["name"] for each in answer["checks"] if not each["ok"]] == ["model"]
    flags = ("--image=i:1", "--spec=gs://b/s.json", "--project=p")
    shown = ask(capsys, "template", "show", *flags, "--input=gs://b/i", "--output=gs://b/o")
    assert shown["run"][:3] == ["gcloud", "dataflow", "flex-template"]
    assert shown["spec"]["image"] == "i:1"
    assert ask(capsys, "template", "metadata")["metadata"]["name"] == "imgcls"


def test_a_defect_is_an_object_and_no_traceback(
    job: list[str], capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import preflight

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(preflight, "check_stores", fail)
    answer = ask(capsys, "classify", *job)
    assert (answer["exit_code"], answer["error"]["kind"]) == (1, "defect")
    assert "ZeroDivisionError: a defect" in answer["error"]["message"]
    assert main(["classify", *job]) == 1
    assert "Traceback" not in capsys.readouterr().err
