"""`imgcls evaluate`: what it says of a run, and how it refuses."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from pipelines.__main__ import main
from schemas import load_schema
from tests.said import Said, publish_said

CAT, DOG = [("cat", 0.8), ("dog", 0.15)], [("dog", 0.6), ("cat", 0.3)]
BASE = [
    Said("gs://b/0.jpg", CAT, {"label": "cat"}),
    Said("gs://b/1.jpg", CAT, {"label": "cat"}),
    Said("gs://b/2.jpg", CAT, {"label": "dog"}),
    Said("gs://b/3.jpg", DOG, {"label": "dog"}),
    Said("gs://b/4.jpg", DOG, {"label": None}),
    Said("gs://b/5.jpg", (), {"label": "cat"}),
]
TEXT = """\
run r1 · model owner/model@aaaaaaaaaaaa
4 images judged · 1 without truth · 1 error
accuracy 75.0% · among the best 2: 100.0%
calibration error 20.0% (mean of |accuracy - score|)

label     images  precision  recall     f1
────────  ──────  ─────────  ──────  ─────
cat            2      0.667   1.000  0.800
dog            2      1.000   0.500  0.667
macro          4      0.833   0.750  0.733
weighted       4      0.833   0.750  0.733

truth → label  images
─────────────  ──────
dog → cat           1

thresholds for precision 0.9
label  score ≥  precision  recall  images  known above
─────  ───────  ─────────  ──────  ──────  ───────────
cat       none                                        
dog      0.600      1.000   0.500       1             
"""


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["evaluate", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def ask(output: pathlib.Path, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    code, out, err = run([f"--output={output}", "--json", *flags], capsys)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    jsonschema.validate(found, load_schema("evaluate.answer"))
    return found


def test_people_read_tables(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish_said(str(tmp_path), BASE)
    flags = [f"--output={tmp_path}", "--truth-column=label", "--wanted-precision=0.9"]
    code, out, err = run(flags, capsys)
    assert (code, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [
        line.rstrip() for line in TEXT.splitlines()
    ]


def test_json_is_one_object_of_the_schema(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_said(str(tmp_path), BASE)
    found = ask(tmp_path, capsys, "--truth_column=label", "--run_id=r1")
    assert (found["accuracy"], found["judged"], found["without_truth"]) == (0.75, 4, 1)
    assert found["statuses"] == {"ok": 5, "error": 1}
    assert found["truth"] == {"column": "label", "file": None, "mapping": None}
    assert found["confusions"][0] == {"truth": "cat", "predicted": "cat", "images": 2}


def test_a_refusal_is_an_object_of_the_schema_too(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run([f"--output={tmp_path}", "--truth_column=label", "--json"], capsys)
    assert (code, err) == (2, "")
    found = json.loads(out)
    jsonschema.validate(found, load_schema("evaluate.answer"))
    assert found["error"]["option"] == "output"
    assert "accuracy" not in found


HOSTILE = ["=cmd()", "\x1b[2J", "a\u202eb", "ß, 猫", "tab\there", 'quo"te', "9"]


def test_odd_labels_are_judged_as_they_are_and_shown_as_escapes(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    says = [
        Said(f"gs://b/{i}.jpg", [(label, 0.9), ("x", 0.1)], {"t": label})
        for i, label in enumerate(HOSTILE)
    ]
    publish_said(str(tmp_path), says)
    found = ask(tmp_path, capsys, "--truth_column=t")
    assert {each["label"] for each in found["labels"]} == {*HOSTILE}
    assert found["accuracy"] == 1.0
    _, out, _ = run([f"--output={tmp_path}", "--truth_column=t"], capsys)
    assert r"\x1b[2J" in out and r"a\u202eb" in out
    assert not set(out) & {"\x1b", "\u202e", "\t"}


PADDED = [(" cat", 0.9), ("dog ", 0.1)]


@pytest.mark.parametrize("truth", [" cat", "cat", "cat  "])
@pytest.mark.parametrize("how", ["column", "csv", "json", "mapping", "label_studio"])
def test_a_label_with_blanks_around_can_be_the_truth(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], how: str, truth: str
) -> None:
    publish_said(str(tmp_path / "out"), [Said("gs://b/0.jpg", PADDED, {"t": truth, "w": " kitty"})])
    task = {"data": {"image": "gs://b/0.jpg"}, "annotations": [annotate(truth)]}
    files = {
        "csv": f"image_uri,truth\ngs://b/0.jpg,{truth}\n",
        "json": json.dumps({"gs://b/0.jpg": truth}),
        "label_studio": json.dumps([task]),
        "mapping": json.dumps({"kitty ": truth}),
        "column": "",
    }
    (tmp_path / "file").write_text(files[how])
    flags = {
        "column": ["--truth_column=t"],
        "mapping": ["--truth_column=w", f"--truth_mapping={tmp_path / 'file'}"],
    }
    found = ask(tmp_path / "out", capsys, *flags.get(how, [f"--truth_file={tmp_path / 'file'}"]))
    assert [(each["label"], each["recall"]) for each in found["labels"]] == [(" cat", 1.0)]


def annotate(choice: str) -> dict[str, Any]:
    """An annotation as Label Studio exports it."""
    return {"result": [{"type": "choices", "value": {"choices": [choice]}}]}


def test_of_labels_that_differ_by_blanks_the_same_text_is_meant(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [(" cat", 0.9), ("cat", 0.1)]
    says = [Said(f"gs://b/{i}.jpg", labels, {"t": t}) for i, t in enumerate((" cat", "cat"))]
    publish_said(str(tmp_path), says)
    found = ask(tmp_path, capsys, "--truth_column=t")
    assert {each["label"]: each["images"] for each in found["labels"]} == {" cat": 1, "cat": 1}


@pytest.fixture
def model(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels of the model, which no row has in full."""
    (tmp_path / "owner" / "model").mkdir(parents=True)
    config = {"id2label": {"0": "cat", "1": "dog", "2": "newt"}}
    (tmp_path / "owner" / "model" / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("truths", [(0, 1, 2, 7), ("0", "1", "2", "7"), (0.0, 1.0, 2.0, 7.0)])
def test_class_ids_are_those_of_the_model(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], truths: Sequence[Any]
) -> None:
    says = [Said(f"gs://b/{i}.jpg", CAT, {"id": truth}) for i, truth in enumerate(truths)]
    publish_said(str(tmp_path / "out"), says)
    found = ask(tmp_path / "out", capsys, "--truth_column=id")
    assert {each["label"]: each["images"] for each in found["labels"]} == {
        "cat": 1,
        "dog": 1,
        "newt": 1,
    }
    assert (found["judged"], found["unknown_truth"]) == (3, 1)
    assert found["unknown"] == [{"value": str(truths[3]), "images": 1}]
    assert found["unseen"] == ["newt"]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", '{"kitty": "cat", "puppy": 1}'),
        ("m.csv", "value,label\nkitty,cat\n puppy ,1\n\n"),
        ("m.csv", "\ufeffvalue,label\r\nkitty,cat\r\npuppy,dog\r\n"),
    ],
)
def test_a_mapping_names_labels_for_other_words(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    words = ["kitty", "puppy", "cat", "cow"]
    publish_said(
        str(tmp_path / "out"),
        [Said(f"gs://b/{i}.jpg", CAT, {"t": word}) for i, word in enumerate(words)],
    )
    (tmp_path / name).write_text(text, encoding="utf-8")
    flags = ("--truth_column=t", f"--truth_mapping={tmp_path / name}")
    found = ask(tmp_path / "out", capsys, *flags)
    assert {each["label"]: each["images"] for each in found["labels"]} == {"cat": 2, "dog": 1}
    assert found["unknown"] == [{"value": "cow", "images": 1}]


@pytest.mark.usefixtures("model")
def test_a_mapping_takes_integers_that_a_table_spells_as_floats_and_may_map_to_nothing(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [2.0, "2", "unsure", "cat"]
    says = [Said(f"gs://b/{i}.jpg", CAT, {"t": word}) for i, word in enumerate(words)]
    publish_said(str(tmp_path / "out"), says)
    (tmp_path / "m.json").write_text('{"2": "dog", "unsure": null}')
    flags = ("--truth_column=t", f"--truth_mapping={tmp_path / 'm.json'}")
    found = ask(tmp_path / "out", capsys, *flags)
    assert {each["label"]: each["images"] for each in found["labels"]} == {"cat": 1, "dog": 2}
    assert (found["without_truth"], found["unknown"]) == (1, [])


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({}, 2),
        ({"num_labels": 3}, 3),
        ({"id2label": {"0": "LABEL_0"}, "num_labels": 3}, 3),
        ({"architecture": "resnet18", "label_names": ["LABEL_0", "LABEL_1", "newt"]}, 3),
    ],
)
def test_class_ids_of_a_model_that_names_no_labels_are_its_numbered_ones(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], config: dict[str, Any], count: int
) -> None:
    (tmp_path / "owner" / "model" / "config.json").write_text(json.dumps(config))
    labels = [("LABEL_1", 0.9), ("LABEL_0", 0.1)]
    says = [Said(f"gs://b/{i}.jpg", labels, {"id": i}) for i in range(4)]
    publish_said(str(tmp_path / "out"), says)
    found = ask(tmp_path / "out", capsys, "--truth_column=id")
    assert (found["judged"], found["unknown_truth"]) == (count, 4 - count)
    assert found["accuracy"] == pytest.approx(1 / count)


_KNOWN = "it has 3 labels, 'cat', 'dog', 'newt'; "
_NO_FELIS = f"is a label or class id of the model: 'Felis'; {_KNOWN}"
STRANGE: dict[str, tuple[object, str, str | None, str]] = {
    "no mapping": (
        *("Felis", "column", None),
        f"truth_column='t': none of its values {_NO_FELIS}"
        "give another column, or a --truth_mapping to its labels",
    ),
    "a file": (
        *("Felis", "file", None),
        f"t.csv': none of its values {_NO_FELIS}give another file, or a --truth",
    ),
    "ids beyond the model's": (
        *(7, "column", None),
        f"none of its values is a label or class id of the model: '7'; {_KNOWN}give another",
    ),
    "a mapping to what is no label": (
        *("kitty", "column", '{"kitty": "Felis"}'),
        f"m.json': none of the labels that it gives {_NO_FELIS}correct the mapping",
    ),
    "a mapping of other words": (
        *("Felis", "column", '{"kitty": "cat"}'),
        f"truth_column='t': none of its values {_NO_FELIS}the mapping ",
    ),
}


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("truth", "where", "mapping", "sentence"), STRANGE.values(), ids=STRANGE.keys()
)
def test_truths_that_are_no_labels_are_a_sentence_that_says_what_helps(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    truth: object,
    where: str,
    mapping: str | None,
    sentence: str,
) -> None:
    publish_said(str(tmp_path / "out"), [Said("gs://b/0.jpg", CAT, {"t": truth})])
    (tmp_path / "t.csv").write_text(f"image_uri,truth\ngs://b/0.jpg,{truth}\n")
    (tmp_path / "m.json").write_text(mapping or "{}")
    flags = ["--truth_column=t"] if where == "column" else [f"--truth_file={tmp_path / 't.csv'}"]
    flags += [f"--truth_mapping={tmp_path / 'm.json'}"] if mapping else []
    code, _, err = run([f"--output={tmp_path / 'out'}", *flags], capsys)
    assert code == 2
    assert sentence in err
    assert ("--truth_mapping" in err) == (mapping is None)


@pytest.mark.parametrize("mapping", [None, '{"7": "8"}'])
def test_class_ids_of_a_model_whose_labels_are_not_known_are_a_sentence(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    mapping: str | None,
) -> None:
    monkeypatch.setattr("imgcls_beam.models.hub.download", _refuse)
    publish_said(str(tmp_path / "out"), [Said("gs://b/0.jpg", CAT, {"t": 7})])
    (tmp_path / "m.json").write_text(mapping or "{}")
    flags = [f"--truth_mapping={tmp_path / 'm.json'}"] if mapping else []
    code, _, err = run([f"--output={tmp_path / 'out'}", "--truth_column=t", *flags], capsys)
    assert code == 2
    assert "config.json, which says what they mean, cannot be read" in err
    assert ("give a --truth_mapping" in err) == (mapping is None)
    assert ("let the mapping say" in err) == (mapping is not None)


def test_without_the_models_labels_a_name_that_no_row_has_counts_as_wrong(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcls_beam.models.hub.download", _refuse)
    says = [Said("gs://b/0.jpg", CAT, {"t": "cow"}), Said("gs://b/1.jpg", CAT, {"t": "cat"})]
    publish_said(str(tmp_path), says)
    found = ask(tmp_path, capsys, "--truth_column=t")
    assert (found["judged"], found["accuracy"], found["unseen"]) == (2, 0.5, ["cow"])


def _refuse(*given: object) -> pathlib.Path:
    from imgcls_beam.errors import ModelError

    raise ModelError(f"{given}: the hub could not be reached")


TRUTH_FILES = {
    "reviewed.csv": "image_uri,truth,label\ngs://b/0.jpg,cat,\ngs://b/2.jpg,dog,\ngs://b/3.jpg,,\n",
    "plain.json": json.dumps({"gs://b/0.jpg": "cat", "gs://b/2.jpg": "dog", "gs://b/3.jpg": None}),
    "studio.json": json.dumps(
        [
            {
                "data": {"image": f"gs://b/{i}.jpg"},
                "annotations": [
                    {"was_cancelled": True, "result": []},
                    {"result": [{"type": "choices", "value": {"choices": [label]}}]},
                ],
            }
            for i, label in ((0, "cat"), (2, "dog"))
        ]
    ),
    "labels.json": json.dumps({"classes": ["cat", "dog"], "labels": {"a": 0, "b": 1}}),
}


@pytest.mark.parametrize("name", TRUTH_FILES)
def test_the_truth_may_be_a_file(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    publish_said(str(tmp_path / "out"), BASE)
    (tmp_path / name).write_text(TRUTH_FILES[name])
    (tmp_path / "data.json").write_text('{"a": "gs://b/0.jpg", "b": "gs://b/2.jpg"}')
    found = ask(tmp_path / "out", capsys, f"--truth_file={tmp_path / name}")
    assert (found["judged"], found["accuracy"], found["without_truth"]) == (2, 0.5, 3)


BAD_FILES = {
    "no label": ("t.csv", "image_uri,truth\ngs://b/0.jpg,\n", "no label for any of its 1 images"),
    "another head": ("t.csv", "uri,label\ngs://b/0.jpg,cat\n", "its head lacks image_uri or truth"),
    "no JSON": ("t.json", "[{", "it is not JSON"),
    "another JSON": ("t.json", '[{"image": 1}]', "neither an export of Label Studio nor"),
    "a number": ("t.json", "5", "neither an export of Label Studio nor"),
    "two labels": (
        *("t.csv", "image_uri,truth\ngs://b/0.jpg,cat\ngs://b/0.jpg,dog\n"),
        "it has two labels for gs://b/0.jpg: 'cat' and 'dog'",
    ),
    "lines of an old Mac": (
        *("t.csv", "image_uri,truth\rgs://b/0.jpg,cat\r"),
        "it is no CSV that can be read: new-line character seen in unquoted field",
    ),
    "an open quote": (
        *("t.csv", 'image_uri,truth\ngs://b/0.jpg,"cat\n' + "gs://b/1.jpg,dog\n" * 10_000),
        "it is no CSV that can be read: field larger than field limit",
    ),
    "not UTF-8": ("t.csv", b"image_uri,truth\ngs://b/0.jpg,\xe4\n", "it is not UTF-8"),
}


@pytest.mark.parametrize(("name", "text", "sentence"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_truth_file_that_is_none_is_a_sentence(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str | bytes,
    sentence: str,
) -> None:
    publish_said(str(tmp_path / "out"), BASE)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    flags = [f"--output={tmp_path / 'out'}", f"--truth_file={tmp_path / name}"]
    code, out, err = run(flags, capsys)
    assert (code, out) == (2, "")
    assert sentence in err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--truth_column=shop"], "no row carries it; rows carry label; see --carry_columns"),
        (["--truth_column=label", "--run_id=r2"], "there is no such finished run"),
        (["--truth_column=label", "--model=other"], "run r1 has owner/model@aaaaaaaaaaaa"),
        (["--truth_file=nowhere.csv"], "there is no such file"),
        (["--truth_column=label", "--truth_mapping=none.json"], "there is no such file"),
        ([], "truth_column=None: name the carried column"),
        (["--truth_column=label", "--truth_file=t.csv"], "one of the two"),
        (["--truth_column=label", "--wanted_precision=0"], "a number above 0, up to 1"),
        (["--truth_column=label", "--wanted_precision=high"], "a number above 0, up to 1"),
        (["--truth_column=label", "--wanted_recall=nan"], "allowed: 0 to 1"),
        (["--truth_column=l", "--wanted_recall=1", "--wanted_precision=1"], "give one"),
        (["--truth_colum=label"], "evaluate has no such flag"),
        (["--truth_column=label", "--output_table=p.d.t"], "one of the two"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_2(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    sentence: str,
) -> None:
    publish_said(str(tmp_path), BASE)
    code, out, err = run([f"--output={tmp_path}", *flags], capsys)
    assert (code, out) == (2, "")
    assert err.startswith("imgcls evaluate: ")
    assert sentence in err


@pytest.mark.parametrize("cell", [["cat", "dog"], {"a": 1}])
def test_several_labels_in_one_cell_are_refused(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], cell: Any
) -> None:
    publish_said(str(tmp_path), [Said("gs://b/0.jpg", CAT, {"t": cell})])
    code, _, err = run([f"--output={tmp_path}", "--truth_column=t"], capsys)
    assert code == 2
    assert "one label an image is evaluated" in err


def test_sql_has_views_over_the_truth_where_its_column_is_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_said(str(tmp_path), BASE)
    query = "SELECT truth, top_label, images FROM evaluation_confusion ORDER BY ALL"
    flags = [f"--output={tmp_path}", "--format=csv", query]
    assert main(["sql", *flags, "--truth_column=label"]) == 0
    rows = ["truth,top_label,images", "cat,cat,2", "dog,cat,1", "dog,dog,1"]
    assert capsys.readouterr().out.splitlines() == rows
    assert main(["sql", *flags]) == 1
    for dialect in ("duckdb", "bigquery"):
        assert main(["sql", f"--dialect={dialect}", "--truth_column=label"]) == 0
        assert "evaluation_confusion" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "sentence"), [("{", "it is not JSON"), ("{}", "no path for '0' of labels.json")]
)
def test_a_data_file_of_fiftyone_that_is_wrong_is_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], data: str, sentence: str
) -> None:
    publish_said(str(tmp_path / "out"), BASE)
    (tmp_path / "labels.json").write_text('{"classes": ["cat"], "labels": {"0": 0}}')
    (tmp_path / "data.json").write_text(data)
    flags = [f"--output={tmp_path / 'out'}", f"--truth_file={tmp_path / 'labels.json'}"]
    code, _, err = run(flags, capsys)
    assert (code, "data.json" in err, sentence in err) == (2, True, True)


def test_a_file_that_is_about_other_images_is_named(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_said(str(tmp_path / "out"), BASE)
    (tmp_path / "t.json").write_text('{"gs://other/0.jpg": "cat"}')
    flags = [f"--output={tmp_path / 'out'}", f"--truth_file={tmp_path / 't.json'}"]
    code, _, err = run(flags, capsys)
    assert (code, "truth_file" in err, "truth_column" in err) == (2, True, False)
