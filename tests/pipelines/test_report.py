"""`imgcls report` and `classify --report`: one file, of the run that is meant."""

import dataclasses
import json
import pathlib
import re

import jsonschema  # type: ignore[import-untyped]
import pytest

from pipelines.__main__ import main
from schemas import load_schema
from tests.said import Said, publish_said
from tests.scenes import write_broken, write_photos
from tests.staged import RUN
from tests.warehouse import publish_run


def read_title(path: pathlib.Path) -> str:
    (title,) = re.findall("<title>(.*?) · ", path.read_text(encoding="utf-8"))
    return str(title)


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "out"
    publish_run(str(folder), [8])
    return folder


def test_it_lies_in_the_folder_of_the_rows(
    output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = output / "reports" / f"{RUN.run_id}.html"
    assert main(["report", f"--output={output}", f"--run_id={RUN.run_id}"]) == 0
    assert capsys.readouterr().out == f"report: {path}\n"
    assert read_title(path) == RUN.run_id
    assert main(["report", f"--output={output}"]) == 0  # the last run, over the file that is there


def test_it_is_written_where_it_is_asked_for(
    output: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "r.html"
    assert main(["report", f"--output={output}", f"--to={path}", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    jsonschema.validate(answer, load_schema("report.answer"))
    assert (answer["exit_code"], answer["report"]) == (0, str(path))
    assert read_title(path) == RUN.run_id
    assert not (output / "reports").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--run_id=r"], "output=None"),
        (["--output=out", "--output_table=a.b.c"], "one of the two"),
        (["--output_table=a.b.c"], "give --to=FILE"),
        (["--output=out", "--to=https://a/b.html"], "its scheme is not allowed"),
        (["--output=out", "--top=3"], "no such flag"),
        (["--output={output}", "--truth_column=a", "--truth_file=b"], "one of the two"),
        (["--output={output}", "--wanted_recall=0.5"], "wanted_recall"),
        (["--output={output}", "--truth_column=absent"], "truth_column"),
        (["--output={output}", "--with=absent"], "there is no such finished run"),
        (["--output={output}", f"--with={RUN.run_id}"], "it is the same run and model"),
        (["--output={output}", "--run_id=absent"], "there is no such finished run"),
        (["--output={output}", "--model=owner/other"], "name one of them"),
        (["--output={output}", "--to=/proc/none/r.html"], "no file can be written"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    flags: list[str], said: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *(flag.format(output=output) for flag in flags)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.slow
def test_a_job_writes_the_report_of_its_run(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 4)
    write_broken(tmp_path / "photos", 1)
    flags = [f"--input={tmp_path / 'photos'}", f"--model={vit_folder}", "--max_error_ratio=0.5"]
    out = tmp_path / "out"
    assert main(["classify", *flags, f"--output={out}", "--run_id=r1", "--report"]) == 0
    path = out / "reports" / "r1.html"
    assert capsys.readouterr().out.endswith(f"report: {path}\n")
    page = path.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 4
    assert "read: empty" in page


def test_a_job_without_a_folder_has_no_place_for_it(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--input=photos", "--output_jsonl=a.jsonl", "--report"]
    assert main(["classify", *flags]) == 2
    assert "give --output=DIR" in capsys.readouterr().err


def test_a_job_that_goes_on_alone_writes_none(capsys: pytest.CaptureFixture[str]) -> None:
    places = ("--input=gs://b/photos", "--output=gs://b/out", "--runner=DataflowRunner")
    assert main(["classify", *places, "--report"]) == 2
    assert "imgcls report writes it afterwards" in capsys.readouterr().err


def test_a_report_that_fails_leaves_the_run_as_it_is(
    output: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from imgcls_beam.analysis.report_page import reporting
    from imgcls_beam.options import OutputOptions
    from pipelines import run_report

    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(reporting, "write_report", fail)
    run_report.write_after(OutputOptions(str(output), RUN.run_id, report=True))
    (record,) = caplog.records
    assert "the disk is full" in record.getMessage()
    assert f"imgcls report --output={output} --run_id={RUN.run_id}" in record.getMessage()


CAT, DOG = [("cat", 0.8), ("dog", 0.15)], [("dog", 0.6), ("cat", 0.3)]


def read_data(path: pathlib.Path) -> dict[str, list[list[object]]]:
    page = path.read_text(encoding="utf-8")
    found = re.search(r'type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, list[list[object]]] = json.loads(found[1])
    return data


def test_with_a_truth_its_confusions_open_their_images(tmp_path: pathlib.Path) -> None:
    said = [
        *(Said(f"gs://b/{n}.jpg", CAT, {"label": "cat"}) for n in range(3)),
        Said("gs://b/wrong.jpg", CAT, {"label": "dog"}),
        Said("gs://b/right.jpg", DOG, {"label": "dog"}),
        Said("gs://b/none.jpg", DOG, {"label": None}),
    ]
    publish_said(str(tmp_path), said)
    assert main(["report", f"--output={tmp_path}", "--truth_column=label"]) == 0
    (path,) = (tmp_path / "reports").iterdir()
    page = path.read_text(encoding="utf-8")
    assert "<dd>80.0 %<small>of 5 images with a known truth" in page
    opened = re.findall(r'data-images="([0-9 ]+)" aria-label="1: truth dog, predicted cat"', page)
    assert len(opened) == page.count("data-images=") == 1  # and none for those that are right
    data = read_data(path)
    row = data["rows"][int(opened[0])]
    assert (row[0], data["labels"][row[11]]) == ("wrong.jpg", "dog")  # type: ignore[call-overload]


def test_it_is_compared_with_the_run_that_is_named(tmp_path: pathlib.Path) -> None:
    for index, labels in enumerate((CAT, DOG, DOG)):
        run = dataclasses.replace(RUN, run_id=f"r{index}")
        publish_said(str(tmp_path), [Said("gs://b/0.jpg", labels, {})], run)
    path = tmp_path / "r.html"
    for flags, flipped in (([], 0), (["--with=r0"], 1)):
        assert main(["report", f"--output={tmp_path}", f"--to={path}", *flags]) == 0
        found = re.findall(r"<dt>Another label</dt><dd>(\d)<", path.read_text(encoding="utf-8"))
        assert found == [str(flipped)]


def test_files_of_the_earlier_run_that_are_gone_do_not_end_a_report(
    output: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_run(str(output), [4], run=dataclasses.replace(RUN, run_id="later"))
    for path in output.glob(f"predictions/*/*/run_id={RUN.run_id}/*"):
        path.unlink()
    assert main(["report", f"--output={output}", "--run_id=later"]) == 0
    said = f"Rows of run {RUN.run_id} are gone"
    assert said in (output / "reports" / "later.html").read_text()
    assert [said in each.getMessage() for each in caplog.records] == [True]
