"""`imgcls review`: what it writes, for whom, and that it comes back as truth."""

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from pipelines.__main__ import main
from schemas import load_schema
from tests.said import Said, publish_said
from tests.staged import RUN

SAYS = [
    Said("file:///photos/0.jpg", [("cat", 0.9), ("dog", 0.1)], {"label": "cat"}),
    Said("file:///photos/1.jpg", [("cat", 0.55), ("dog", 0.45)]),
    Said("file:///photos/ß 猫.jpg", [("=cmd()", 0.7), ("cat", 0.3)]),
    Said("file:///photos/3.jpg", ()),
]
OTHER = [
    Said("file:///photos/0.jpg", [("cat", 0.8), ("dog", 0.2)]),
    Said("file:///photos/1.jpg", [("\x1b\u202edog", 0.6), ("cat", 0.4)]),
]


@pytest.fixture
def output(tmp_path: pathlib.Path) -> str:
    publish_said(str(tmp_path / "out"), OTHER, dataclasses.replace(RUN, run_id="r0"))
    publish_said(str(tmp_path / "out"), SAYS)
    return str(tmp_path / "out")


def run(
    program: str, arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([program, *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def review(output: str, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    code, out, err = run("review", [f"--output={output}", "--json", *flags], capsys)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    jsonschema.validate(found, load_schema("review.answer"))
    return found


def evaluate(output: str, capsys: pytest.CaptureFixture[str], file: pathlib.Path) -> dict[str, Any]:
    flags = [f"--output={output}", f"--truth_file={file}", "--json"]
    code, out, err = run("evaluate", flags, capsys)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_table_is_filled_in_and_read_back(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "review" / "to do.csv"
    found = review(output, capsys, f"--csv={path}", "--with=r0")
    assert found["files"] == {"csv": str(path), "label_studio": None, "fiftyone": None}
    assert [each["reason"] for each in found["images"]] == [
        *("error", "disagreement", "margin", "margin")
    ]
    text = path.read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["image_uri"] for row in rows] == [each["image_uri"] for each in found["images"]]
    assert {row["truth"] for row in rows} == {""}
    assert "'=cmd()" in {row["label"] for row in rows}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    truths = {"file:///photos/0.jpg": "cat", "file:///photos/ß 猫.jpg": "'=cmd()"}
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(row | {"truth": truths.get(row["image_uri"], "")} for row in rows)
    judged = evaluate(output, capsys, path)
    assert (judged["judged"], judged["accuracy"], judged["without_truth"]) == (2, 1.0, 1)


TASK = {
    "type": "object",
    "additionalProperties": False,
    "required": ["data"],
    "properties": {
        "data": {"type": "object", "required": ["image"]},
        "predictions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["model_version", "score", "result"],
                "properties": {
                    "score": {"type": "number"},
                    "result": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["from_name", "to_name", "type", "value"],
                            "properties": {
                                "type": {"const": "choices"},
                                "value": {"required": ["choices"]},
                            },
                        },
                    },
                },
            },
        },
    },
}
"""Label Studio's basic JSON, as its documentation describes tasks with predictions."""


def test_tasks_of_label_studio_come_back_annotated(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tasks.json"
    review(output, capsys, f"--label_studio={path}")
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for task in tasks:
        jsonschema.validate(task, TASK)
    assert [len(task.get("predictions", ())) for task in tasks] == [0, 1, 1, 1]
    code, _, err = run("evaluate", [f"--output={output}", f"--truth_file={path}"], capsys)
    assert (code, "no label for any of its 0 images" in err) == (2, True)
    for task in tasks[1:]:  # as an annotator accepts what is predicted
        task["annotations"] = [{"id": 1, "result": task["predictions"][0]["result"]}]
    path.write_text(json.dumps(tasks))
    assert evaluate(output, capsys, path)["judged"] == 3


def test_a_data_set_of_fiftyone_comes_back_labelled(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "fiftyone"
    review(output, capsys, f"--fiftyone={folder}")
    paths = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    assert paths.keys() == labels["labels"].keys()
    assert not any(set(key) & set("./") for key in paths)
    assert "/photos/ß 猫.jpg" in paths.values()
    assert sorted(map(str, labels["labels"].values())) == ["=cmd()", "None", "cat", "cat"]
    flags = [f"--output={output}", f"--truth_file={folder / 'labels.json'}"]
    code, _, err = run("evaluate", flags, capsys)
    assert (code, "its labels are the model's" in err) == (2, True)
    exported = {"classes": ["dog", "cat"], "labels": dict.fromkeys(paths, 1)}
    (folder / "labels.json").write_text(json.dumps(exported))
    judged = evaluate(output, capsys, folder / "labels.json")
    assert (judged["judged"], judged["accuracy"]) == (3, pytest.approx(2 / 3))
    assert evaluate(output, capsys, folder)["judged"] == 3


def test_nobodys_work_is_written_over(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "review.csv"
    path.write_text("filled in")
    code, out, err = run("review", [f"--output={output}", f"--csv={path}"], capsys)
    assert (code, out) == (2, "")
    assert "it is there, and may hold somebody's labels" in err
    assert path.read_text() == "filled in"
    folder = tmp_path / "fiftyone"
    folder.mkdir()
    (folder / "labels.json").write_text("{}")
    code, _, _ = run("review", [f"--output={output}", f"--fiftyone={folder}"], capsys)
    assert code == 2
    assert [each.name for each in folder.iterdir()] == ["labels.json"]


def test_no_file_is_written_where_another_is_there(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, fresh = tmp_path / "tasks.json", tmp_path / "review.csv"
    there.write_text("filled in")
    flags = [f"--output={output}", f"--csv={fresh}", f"--label_studio={there}"]
    code, _, err = run("review", flags, capsys)
    assert (code, "label_studio=" in err, fresh.exists()) == (2, True, False)
    flags = [f"--output={output}", f"--csv={fresh}", f"--label_studio={fresh}"]
    code, _, err = run("review", flags, capsys)
    assert (code, "two of the files would be this one" in err) == (2, True)
    assert not fresh.exists()


def test_images_of_known_truth_are_left_out(
    output: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = review(output, capsys, "--truth_column=label")
    uris = {each["image_uri"] for each in found["images"]}
    assert uris == {"file:///photos/1.jpg", "file:///photos/ß 猫.jpg", "file:///photos/3.jpg"}
    known = tmp_path / "known.csv"
    known.write_text("image_uri,truth\nfile:///photos/1.jpg,dog\n/photos/3.jpg,cat\n")
    found = review(output, capsys, f"--truth_file={known}", "--budget=1")
    assert [each["image_uri"] for each in found["images"]] == ["file:///photos/ß 猫.jpg"]


def test_people_see_what_is_chosen_and_what_to_do(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run("review", [f"--output={output}", "--with=r0", "--budget=3"], capsys)
    assert code == 0
    assert "3 images of a budget of 3 · 1 by error · 1 by disagreement · 1 by margin" in out
    assert "prepare: truncated" in out and r"\x1b\u202edog" in out
    assert not set(out) & {"\x1b", "\u202e"}
    assert "nothing was written: give --csv=FILE" in out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--budget=0"], "an integer of 1 or more"),
        (["--with=none"], "there is no such finished run"),
        (["--run_id=r1", "--with=r1"], "it is the same run and model"),
        (["--with=r0", "--with_model=x"], "with_model='x': run r0 has"),
        (["--truth_column=shop"], "no row carries it"),
        (["--truth_column=a", "--truth_file=b"], "give it or --truth_column"),
        (["--csv=https://host/x.csv"], "its scheme is not allowed"),
        (["--csv=/proc/nowhere/x.csv"], "no file can be written"),
        (["--budgt=9"], "review has no such flag"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_2(
    output: str, flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run("review", [f"--output={output}", *flags], capsys)
    assert (code, out) == (2, "")
    assert err.startswith("imgcls review: ")
    assert sentence in err


def test_labels_take_turns_among_all_images_that_changed(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One label with many sure changes hides no other."""
    cats = [f"file:///cats/{index:02d}.jpg" for index in range(90)]
    output = str(tmp_path / "out")
    says = [Said(uri, [("cat", 0.99), ("dog", 0.01)]) for uri in cats]
    publish_said(output, [*says, Said("file:///fox.jpg", [("fox", 0.6), ("dog", 0.4)])])
    says = [Said(uri, [("dog", 0.99), ("cat", 0.01)]) for uri in cats]
    run_1 = dataclasses.replace(RUN, run_id="r0")
    publish_said(output, [*says, Said("file:///fox.jpg", [("dog", 0.6), ("fox", 0.4)])], run_1)
    found = review(output, capsys, "--run_id=r1", "--with=r0", "--budget=4")["images"]
    disputed = [each["label"] for each in found if each["reason"] == "disagreement"]
    assert disputed == ["cat", "fox"]


def test_a_failed_image_of_known_truth_is_left_out(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "out")
    known, unknown = {"label": "cat"}, {"label": ""}
    publish_said(
        output,
        [
            Said("file:///0.jpg", (), known),
            Said("file:///1.jpg", (), unknown),
            Said("file:///2.jpg", [("cat", 0.9), ("dog", 0.1)], unknown),
        ],
    )
    found = review(output, capsys, "--truth_column=label")["images"]
    assert [each["image_uri"] for each in found] == ["file:///1.jpg", "file:///2.jpg"]
