"""Manifests, image columns, archives and requests, from the command line to the rows."""

import base64
import csv
import io
import json
import pathlib
import tarfile
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import pipeline

from pipelines.__main__ import main
from schemas import load_schema
from tests.pipelines.test_classify import read_record, read_rows
from tests.scenes import draw_photo, encode, write_photos

COUNT = 12


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    return write_photos(tmp_path_factory.mktemp("photos"), COUNT, seed=11)


@pytest.fixture(scope="module")
def answers(photos: list[pathlib.Path], vit_folder: pathlib.Path) -> list[list[dict[str, Any]]]:
    """The reference's answer for each photo."""
    reference = pipeline("image-classification", model=str(vit_folder), device="cpu")
    return [reference(str(path)) for path in photos]


def run(tmp_path: pathlib.Path, model: pathlib.Path, *flags: str) -> int:
    return main(
        ["classify", f"--output={tmp_path / 'out'}", "--run_id=r1", f"--model={model}", *flags]
    )


def assert_close(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert [each["label"] for each in ours] == [each["label"] for each in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert abs(a["score"] - b["score"]) <= 1e-5


def write_csv(path: pathlib.Path, photos: list[pathlib.Path]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["shop", "photo", "price"])
        writer.writerows([f"shop, {i}", photo, i] for i, photo in enumerate(photos))


def write_jsonl(path: pathlib.Path, photos: list[pathlib.Path]) -> None:
    lines = [
        {"photo": f"file://{photo}", "shop": f"shop, {i}", "price": str(i)}
        for i, photo in enumerate(photos)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def write_parquet(path: pathlib.Path, photos: list[pathlib.Path]) -> None:
    columns = {
        "photo": list(map(str, photos)),
        "shop": [f"shop, {i}" for i in range(len(photos))],
        "price": list(map(str, range(len(photos)))),
    }
    pq.write_table(pa.table(columns), path, row_group_size=5)


WRITERS = {"m.csv": write_csv, "m.jsonl": write_jsonl, "m.parquet": write_parquet}


@pytest.mark.parametrize("name", WRITERS)
def test_a_manifest_names_the_images_and_its_columns_come_back(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    photos: list[pathlib.Path],
    answers: list[list[dict[str, Any]]],
    name: str,
) -> None:
    WRITERS[name](tmp_path / name, photos)
    flags = [f"--input_manifest={tmp_path / name}", "--uri_column=photo"]
    assert run(tmp_path, vit_folder, *flags, "--carry_columns=price,shop") == 0
    rows = {row["image_uri"]: row for row in read_rows(tmp_path / "out")}
    assert set(rows) == {f"file://{photo}" for photo in photos}
    for index, photo in enumerate(photos):
        row = rows[f"file://{photo}"]
        assert_close(row["predictions"], answers[index])
        assert json.loads(row["attributes"]) == {"price": str(index), "shop": f"shop, {index}"}


def test_a_text_manifest_needs_no_column_and_a_bad_line_is_a_row(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, photos: list[pathlib.Path]
) -> None:
    lines = [*map(str, photos[:3]), "", "https://example.invalid/a.jpg", str(photos[0]), "a\x01b"]
    (tmp_path / "m.txt").write_text("\n".join(lines))
    assert run(tmp_path, vit_folder, f"--input_manifest={tmp_path / 'm.txt'}") == 3
    rows = read_rows(tmp_path / "out")
    errors = {row["image_uri"]: row["error"] for row in rows if row["error"]}
    assert len(rows) == 5
    assert errors["https://example.invalid/a.jpg"]["stage"] == "read"
    assert errors[f"file://{tmp_path}/m.txt::7"]["code"] == "invalid_reference"
    counts = read_record(tmp_path / "out")["counts"]
    assert counts == {"listed": 5, "ok": 3, "error": 2, "skipped": 0}


@pytest.mark.parametrize("is_struct", [True, False])
def test_images_in_a_parquet_column_are_read_in_place(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    photos: list[pathlib.Path],
    answers: list[list[dict[str, Any]]],
    is_struct: bool,
) -> None:
    cells: list[Any] = [photo.read_bytes() for photo in photos]
    if is_struct:
        cells = [{"bytes": cell, "path": f"{i}.jpg"} for i, cell in enumerate(cells)]
    (tmp_path / "data").mkdir()
    for part, start in enumerate(range(0, COUNT, 6)):
        columns = {"image": [*cells[start : start + 6], None], "n": range(start, start + 7)}
        table = pa.table({name: list(values) for name, values in columns.items()})
        pq.write_table(table, tmp_path / "data" / f"part-{part}.parquet", row_group_size=4)
    flags = [f"--input_manifest={tmp_path / 'data'}", "--image_column=image", "--carry_columns=n"]
    assert run(tmp_path, vit_folder, *flags) == 3
    rows = read_rows(tmp_path / "out")
    good = [row for row in rows if row["status"] == "ok"]
    bad = [row for row in rows if row["status"] == "error"]
    assert {row["error"]["code"] for row in bad} == {"empty"}
    assert [row["image_uri"].rpartition("::")[2] for row in bad] == ["6", "6"]
    assert len(good) == COUNT
    for row in good:
        assert row["image_uri"].startswith(f"file://{tmp_path}/data/part-")
        assert_close(row["predictions"], answers[json.loads(row["attributes"])["n"]])


def test_members_of_tar_shards_are_images(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    photos: list[pathlib.Path],
    answers: list[list[dict[str, Any]]],
) -> None:
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        with tarfile.open(tmp_path / "shards" / f"{shard}.tar", "w") as archive:
            for photo in photos[shard::2]:
                archive.add(photo, f"a/{photo.name}")
                label = tarfile.TarInfo(f"a/{photo.stem}.json")
                label.size = 2
                archive.addfile(label, io.BytesIO(b"{}"))
    assert run(tmp_path, vit_folder, f"--input={tmp_path / 'shards'}") == 0
    rows = {row["image_uri"]: row for row in read_rows(tmp_path / "out")}
    assert len(rows) == COUNT
    for index, photo in enumerate(photos):
        row = rows[f"file://{tmp_path}/shards/{index % 2}.tar::a/{photo.name}"]
        assert row["image_bytes"] == photo.stat().st_size
        assert_close(row["predictions"], answers[index])


def write_requests(path: pathlib.Path, requests: list[Any]) -> None:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in requests]
    path.write_text("".join(f"{line}\n" for line in lines))


def to_text(photo: pathlib.Path) -> str:
    return base64.b64encode(photo.read_bytes()).decode()


def test_requests_are_answered_line_by_line_with_their_ids_and_parameters(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, photos: list[pathlib.Path]
) -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"top_k": 1},
        {"top_k": 3, "function_to_apply": "sigmoid"},
        {"function_to_apply": "none"},
        {"function_to_apply": "softmax", "top_k": 100},
    ]
    requests: list[Any] = [
        {"id": f"r{i}", "inputs": to_text(photo), "parameters": asked[i % 5]}
        for i, photo in enumerate(photos)
    ]
    requests += [
        {"id": "url", "inputs": "https://example.invalid/cat.jpg"},
        {"id": 17, "inputs": to_text(photos[0]), "parameters": {"top_k": 0}},
        "{not json",
        {"id": "page", "inputs": base64.b64encode(b"<html>").decode()},
    ]
    write_requests(tmp_path / "r.jsonl", requests)
    flags = [f"--requests={tmp_path / 'r.jsonl'}", f"--output_jsonl={tmp_path / 'answers.jsonl'}"]
    assert run(tmp_path, vit_folder, *flags, "--top_k=2") == 3

    reference = pipeline("image-classification", model=str(vit_folder), device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == COUNT + 4
    for index, (line, photo) in enumerate(zip(lines[:COUNT], photos, strict=True)):
        assert line["id"] == f"r{index}"
        jsonschema.validate(line["response"], load_schema("response"))
        expected = reference(str(photo), **{"top_k": 2, **asked[index % 5]})
        assert_close(line["response"], expected)
    assert [line.get("id") for line in lines[COUNT:]] == ["url", 17, None, "page"]
    codes = [line["error"]["code"] for line in lines[COUNT:]]
    assert codes == ["invalid_request", "invalid_request", "invalid_request", "not_an_image"]

    rows = {row["image_uri"]: row for row in read_rows(tmp_path / "out")}
    row = rows[f"file://{tmp_path}/r.jsonl::3"]
    assert row["request_id"] == "r2"
    assert row["params"] == {
        **{"top_k": 3, "function_to_apply": "sigmoid", "function_source": "request"}
    }
    assert rows[f"file://{tmp_path}/r.jsonl::{COUNT + 3}"]["error"]["code"] == "invalid_request"


def test_responses_alone_need_no_folder_for_rows(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    photos: list[pathlib.Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_requests(tmp_path / "r.jsonl", [{"inputs": to_text(photo)} for photo in photos])
    flags = [f"--requests={tmp_path / 'r.jsonl'}", f"--model={vit_folder}"]
    arguments = ["classify", *flags, f"--output_jsonl={tmp_path / 'answers.jsonl'}"]
    assert main(arguments) == 0
    assert f"{COUNT} ok, 0 error of {COUNT} listed" in capsys.readouterr().out
    before = (tmp_path / "answers.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.jsonl", "r.jsonl"]
    # The same command again would overwrite somebody's answers.
    assert main(arguments) == 2
    assert "output_jsonl" in capsys.readouterr().err
    assert (tmp_path / "answers.jsonl").read_bytes() == before


def test_all_kinds_of_input_make_one_table(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, photos: list[pathlib.Path]
) -> None:
    write_csv(tmp_path / "m.csv", photos[:4])
    write_requests(tmp_path / "r.jsonl", [{"inputs": to_text(photos[5])}])
    flags = [
        *(f"--input={photos[0]}", f"--input={photos[7]}", f"--requests={tmp_path / 'r.jsonl'}"),
        *(f"--input_manifest={tmp_path / 'm.csv'}", "--uri_column=photo"),
    ]
    assert run(tmp_path, vit_folder, *flags) == 0
    uris = sorted(row["image_uri"] for row in read_rows(tmp_path / "out"))
    expected = [f"file://{photo}" for photo in (*photos[:4], photos[7])]
    assert uris == sorted([*expected, f"file://{tmp_path}/r.jsonl::1"])


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_two_processes_give_the_same_table_as_one(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, photos: list[pathlib.Path]
) -> None:
    cells = [photo.read_bytes() for photo in photos]
    pq.write_table(pa.table({"image": cells}), tmp_path / "i.parquet", row_group_size=5)
    write_requests(tmp_path / "r.jsonl", [{"inputs": to_text(photo)} for photo in photos])
    flags = [f"--input_manifest={tmp_path / 'i.parquet'}", "--image_column=image"]
    flags += [f"--requests={tmp_path / 'r.jsonl'}", f"--input={photos[0].parent}"]
    spread = ["--runner=DirectRunner", "--direct_num_workers=2"]
    spread += ["--direct_running_mode=multi_processing"]
    tables = []
    for name, more in (("one", []), ("two", spread)):
        assert run(tmp_path / name, vit_folder, *flags, *more) == 0
        rows = read_rows(tmp_path / name / "out")
        tables.append({row["image_uri"]: row["predictions"] for row in rows})
    assert len(tables[0]) == 3 * COUNT
    assert set(tables[0]) == set(tables[1])
    for uri, predictions in tables[0].items():
        assert_close(predictions, tables[1][uri])


WRONG: list[tuple[list[str], str]] = [
    (["--uri_column=photo"], "uri_column"),
    (["--input_manifest={m}"], "uri_column"),
    (["--input_manifest={m}", "--uri_column=foto"], "uri_column"),
    (["--input_manifest={m}", "--uri_column=photo", "--carry_columns=size"], "carry_columns"),
    (["--input_manifest={m}", "--image_column=photo"], "image_column"),
    (["--input_manifest={m}.gone.csv", "--uri_column=photo"], "input_manifest"),
    (["--input_manifest=bq:d.t", "--uri_column=photo"], "input_manifest"),
    (["--requests={m}.gone.jsonl"], "requests"),
    (["--requests=https://example.invalid/r.jsonl"], "requests"),
]


@pytest.mark.parametrize(("flags", "option"), WRONG)
def test_a_wrong_input_is_one_sentence_and_leaves_nothing(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    photos: list[pathlib.Path],
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    option: str,
) -> None:
    write_csv(tmp_path / "m.csv", photos)
    given = [flag.format(m=tmp_path / "m.csv") for flag in flags]
    assert run(tmp_path, vit_folder, *given) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"imgcls classify: {option}=")
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_image_of_a_request_is_the_same_as_the_file(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path
) -> None:
    data = encode(draw_photo(3), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    encodings = [
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        "data:image/png;base64," + base64.encodebytes(data).decode(),
    ]
    write_requests(tmp_path / "r.jsonl", [{"inputs": text} for text in encodings])
    flags = [f"--requests={tmp_path / 'r.jsonl'}", f"--input={tmp_path / 'a.png'}"]
    assert run(tmp_path, vit_folder, *flags) == 0
    rows = read_rows(tmp_path / "out")
    assert len(rows) == 4
    assert len({row["image_sha256"] for row in rows}) == 1
    assert len({json.dumps(row["predictions"]) for row in rows}) == 1


@pytest.mark.slow
def test_what_was_passed_over_is_said_at_the_end_and_stands_in_the_record(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    photos: list[pathlib.Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for photo in photos[:3]:
        (folder / photo.name).write_bytes(photo.read_bytes())
    for name in ("a.txt", "b.TXT", "._c.jpg", ".DS_Store"):
        (folder / name).write_bytes(b"x")
    output, lines = folder / "out", folder / "answers.jsonl"
    flags = [f"--input={folder}", f"--model={vit_folder}", f"--output={output}"]
    hidden = "2 hidden (._*, .DS_Store, __MACOSX, Thumbs.db)"
    for run_id, own in (("r1", ""), ("r2", ", 2 own output"), ("r3", ", 4 own output")):
        more = [f"--run_id={run_id}", *([f"--output_jsonl={lines}"] if run_id == "r2" else [])]
        more += [f"--output_jsonl={lines}.3"] if run_id == "r3" else []
        assert main(["classify", *flags, *more]) == 0
        beside = ", 1 .jsonl" if run_id == "r3" else ""
        expected = f"passed over: 2 .txt{beside}, {hidden}"
        assert f"{expected}{own}\n" in capsys.readouterr().out
        record = read_record(output, run_id)
        assert record["counts"]["listed"] == record["counts"]["ok"] == 3
        found = {(each["reason"], each["suffix"]): each["count"] for each in record["passed_over"]}
        assert found["suffix", ".txt"] == 2
    assert "own_output" not in json.dumps(record["configuration"])


@pytest.mark.slow
def test_without_rows_the_number_of_what_was_passed_over_is_said(
    tmp_path: pathlib.Path,
    vit_folder: pathlib.Path,
    photos: list[pathlib.Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.txt", "b.csv"):
        (photos[0].parent / name).write_text("x")
    flags = [f"--input={photos[0].parent}", f"--output_jsonl={tmp_path}/a.jsonl"]
    assert main(["classify", *flags, f"--model={vit_folder}"]) == 0
    for name in ("a.txt", "b.csv"):
        (photos[0].parent / name).unlink()
    assert "passed over: 2 files" in capsys.readouterr().out
