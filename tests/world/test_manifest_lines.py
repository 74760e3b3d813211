"""Manifests as people and programs write them: each line is an image, or says why it is none."""

import csv
import io
import itertools
import json
import pathlib
import urllib.parse
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.options import InputOptions, ManifestOptions, ReadOptions
from imgcls_beam.reading import read_images
from tests.tars import write_tar

Shown = list[tuple[str, str | None]]
"""Of each line what it names below the folder, or `!` and its number; and what it carries."""


def make(path: pathlib.Path, content: str | bytes) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def look(url: str | pathlib.Path, *carry: str, **options: Any) -> list[ImageRef | Failure]:
    """What a manifest names, after the checks of a program."""
    options = {"uri_column": "photo", **options}
    given = InputOptions(manifest=ManifestOptions(str(url), carry_columns=carry, **options))
    check_inputs(given)
    return list(list_images(given))


def show(root: pathlib.Path, listed: list[ImageRef | Failure]) -> Shown:
    shown: Shown = []
    for each in listed:
        if isinstance(each, Failure):
            assert each.code is FailureCode.INVALID_REFERENCE
            shown.append((f"!{each.ref.uri.rpartition('::')[2]}", None))
        else:
            carried = next(iter((each.attributes or {}).values()), None)
            shown.append((each.uri.removeprefix(f"file://{root}/"), carried))
    return shown


def find_messages(listed: list[ImageRef | Failure]) -> list[str]:
    return [each.message for each in listed if isinstance(each, Failure)]


# Quotes

A, B, C, D, E = (f"{letter}.jpg" for letter in "abcde")

CSV: list[tuple[str, Shown]] = [
    # A quote that is opened and never meant: the lines up to the next one are there.
    (
        f'title,photo\nmug,{A}\n"tall mug,{B}\nbowl,{C}\nplate,{D}\nscreen 24",{E}\n',
        [(A, "mug"), ("!3", None), (C, "bowl"), (D, "plate"), (E, 'screen 24"')],
    ),
    (f'title,photo\n"tall mug,{A}\nscreen 24",{B}\n', [("!2", None), (B, 'screen 24"')]),
    (
        f'photo,title\n{A},"tall mug\n{B},bowl\n{C},screen 24"\n{D},x\n',
        [("!2", None), (B, "bowl"), (C, 'screen 24"'), (D, "x")],
    ),
    (f'title,photo\n"mug,{A}\nbowl,{B}\n', [("!2", None), (B, "bowl")]),
    (f'photo,title\n{A},"mug\n{B},bowl', [("!2", None), (B, "bowl")]),
    (
        'photo,title\na-17,x\nb-18,"open\nc-19,z\nd-20,24"\n',
        [("a-17", "x"), ("!3", None), ("c-19", "z"), ("d-20", '24"')],
    ),
    (
        'photo,title\n1001,x\n1002,"open\n1003,z\n1004,24"\n',
        [("1001", "x"), ("!3", None), ("1003", "z"), ("1004", '24"')],
    ),
    (
        f'n,title,photo\n1,"x,{A}\n2,y,s3://b/c\n3,"z",{B}\n',
        [("!2", None), ("s3://b/c", None), (B, None)],
    ),
    (f'photo,title\n"{A},mug\n{B},bowl"\n', [("!2", None), (B, 'bowl"')]),
    # A quoted field that spans lines, as it may.
    (
        f'title,photo\n"Big mug,\nwhite, tall\nwith handle",{A}\nx,{B}\n',
        [(A, "Big mug,\nwhite, tall\nwith handle"), (B, "x")],
    ),
    (
        f'photo,title\n{A},"A mug\r\nof 24"" and\r\n\r\nmore, or less"\r\n{B},x\r\n',
        [(A, 'A mug\r\nof 24" and\r\n\r\nmore, or less'), (B, "x")],
    ),
    (f'title,photo\n"one\n two\nthree",{A}\n', [(A, "one\n two\nthree")]),
    # Backslashes before quotes.
    (f'title,photo\n"a 24\\" screen, black",{A}\n', [(A, 'a 24" screen, black')]),
    (f'title,photo\n"24\\"",{A}\n"12\\"",{B}\n', [(A, '24"'), (B, '12"')]),
    (f'photo,title\n{A},"say \\"hi\\", all"\n{B},y\n', [(A, 'say "hi", all'), (B, "y")]),
    (f'title,photo\n"a \\"b\\"\nc",{A}\n', [(A, 'a "b"\nc')]),
    (f'title,photo\n"C:\\temp\\",{A}\n', [(A, "C:\\temp\\")]),
    (f'title,photo\n24" screen,{A}\n', [(A, '24" screen')]),
    (f'title,photo\n"24"" screen",{A}\n', [(A, '24" screen')]),
    # What is no field.
    (f'title,photo\n"x" y,{A}\nz,{B}\n', [("!2", None), (B, "z")]),
    # Lines of fewer or more fields than the header.
    (f"title,photo\nmug\nbowl,{A}\n", [("!2", None), (A, "bowl")]),
    (f"photo,title\n{A}\n{B},x\n", [(A, None), (B, "x")]),
    (f"title,photo\nmug, tall,{A}\nbowl,{B}\n", [("!2", None), (B, "bowl")]),
    (f"photo,title\n{A},mug, tall\n{B},x,,\n", [("!2", None), (B, "x")]),
    (f"title,photo\n,\n,{A}\n\n  \n", [("!2", None), (A, "")]),
    # Blanks round names and values.
    (f'title , photo\n mug, {A} \n "a, b" , "{B}" \n', [(A, None), (B, None)]),
    (f"title,photo\nmug,\u00a0{A}\t\n", [(A, "mug")]),
]


@pytest.mark.parametrize(("content", "expected"), CSV, ids=itertools.count())
def test_every_line_of_a_csv_is_a_row(
    tmp_path: pathlib.Path, content: str, expected: Shown
) -> None:
    carry = ("title",) if content.startswith(("title,", "photo,title")) else ()
    listed = look(make(tmp_path / "m.csv", content), *carry)
    assert show(tmp_path, listed) == expected
    tabs = make(tmp_path / "m.tsv", content.replace(",", "\t"))
    if '"' not in content and "\t" not in content:
        assert [name for name, _ in show(tmp_path, look(tabs, *carry))] == [n for n, _ in expected]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f'x,"tall mug,{A}', "opens a quote that is never closed, or only behind lines"),
        (f'x,"tall" mug,{A}', "has text behind a closing quote (column 10)"),
        (f"x,y,z,{A}", "has 4 fields, and the header 3"),
        ("x,y", "has 2 of 3 fields, and no image's URI"),
        ("x,y,", "names no image"),
        ("x,y,\x01", "control characters"),
        ("x,y,photos/", "names a folder"),
        ("x,y,..", "names a folder"),
        ("x,y,photos/.", "names a folder"),
        ("x,y,file://other-host/a.jpg", "names no store"),
        ("x,y,file://photos/a.jpg", "names no store"),
        ("x,y,shards/{000..003}.tar", "names several files in braces"),
        ("x,y,shards/0.tar.gz", "names a packed archive"),
    ],
    ids=itertools.count(),
)
def test_a_line_that_is_no_row_says_why(tmp_path: pathlib.Path, line: str, message: str) -> None:
    listed = look(make(tmp_path / "m.csv", f"n,title,photo\n{line}\nx,y,{B}\n"))
    assert show(tmp_path, listed) == [("!2", None), (B, None)]
    (found,) = find_messages(listed)
    assert message in found


def test_what_the_csv_module_writes_is_read_as_it_was(tmp_path: pathlib.Path) -> None:
    odd = [
        '"',
        '""',
        ",",
        "a,b",
        'a"b',
        "\n",
        "a\nb",
        "\r\n",
        "",
        '"\n"',
        "é",
        "'",
        "\\",
        'x\\"',
        "-",
    ]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        target = io.StringIO()
        writer = csv.writer(target, quoting=quoting)
        writer.writerow(["title", "photo", "more"])
        rows = [
            [title, f"{i}-{j}.jpg", more]
            for i, title in enumerate(odd)
            for j, more in enumerate(odd)
        ]
        writer.writerows(rows)
        listed = look(make(tmp_path / "m.csv", target.getvalue()), "title", "more")
        refs = [each for each in listed if isinstance(each, ImageRef)]
        assert len(refs) == len(rows)
        for ref, (title, name, more) in zip(refs, rows, strict=True):
            assert ref.uri == f"file://{tmp_path}/{name}"
            assert ref.attributes == {"title": title, "more": more}


def test_each_line_that_opens_a_quote_is_a_row_of_its_own(
    tmp_path: pathlib.Path,
) -> None:
    lines = [f'"title {n},{n}.jpg' for n in range(20_000)]
    listed = look(make(tmp_path / "m.csv", "\n".join(["title,photo", *lines])))
    assert len(listed) == len(lines)
    assert all(isinstance(each, Failure) for each in listed)


# Encodings

CAFES = ["café.jpg", "naïve.jpg", "Łódź.jpg", "плов.jpg", "a.jpg"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "txt"])
@pytest.mark.parametrize(
    "mark", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-16-le"]
)
def test_a_byte_order_mark_says_the_encoding(
    tmp_path: pathlib.Path, suffix: str, mark: str
) -> None:
    lines = {"jsonl": [json.dumps({"photo": n}, ensure_ascii=False) for n in CAFES], "txt": CAFES}
    content = "\r\n".join(lines.get(suffix, ["photo", *CAFES]))
    if mark in ("utf-16-be", "utf-16-le"):
        content = "\ufeff" + content
    options = {"uri_column": None} if suffix == "txt" else {}
    path = make(tmp_path / f"m.{suffix}", content.encode(mark))
    listed = look(path, **options, encoding="cp1252" if mark != "utf-8" else "utf-8")
    assert [name for name, _ in show(tmp_path, listed)] == CAFES


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        *(("cp1252", "café – x.jpg"), ("latin-1", "é.jpg"), ("shift_jis", "写真.jpg")),
        *(
            ("gb18030", "照片.jpg"),
            ("utf-16-le", "é.jpg"),
            ("utf-16-be", "é.jpg"),
            ("cp037", "é.jpg"),
        ),
    ],
)
def test_another_encoding_is_named(tmp_path: pathlib.Path, encoding: str, name: str) -> None:
    path = make(tmp_path / "m.csv", f"title,photo\n{name} x,{name}\n".encode(encoding))
    listed = look(path, "title", encoding=encoding)
    assert show(tmp_path, listed) == [(name, f"{name} x")]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("m.csv", "title,photo\nmug,a.jpg\ncafé,b.jpg\n".encode("latin-1"), "line 3, column 4"),
        ("m.csv", "título,photo\nmug,a.jpg\n".encode("cp1252"), "line 1, column 2"),
        ("m.jsonl", '{"photo": "é.jpg"}\n'.encode("cp1252"), "line 1, column 12"),
        ("m.txt", "a.jpg\n照片.jpg\n".encode("gb18030"), "line 2, column 1"),
        ("m.tsv", b"photo\tn\na.jpg\t\xff\n", "line 2, column 7"),
        ("m.csv", "photo\nа.jpg\n".encode("utf-16-le"), "line 1"),
    ],
    ids=itertools.count(),
)
def test_a_manifest_of_another_encoding_is_refused_by_line_and_column(
    tmp_path: pathlib.Path, name: str, content: bytes, where: str
) -> None:
    options = {"uri_column": None} if name == "m.txt" else {}
    with pytest.raises(ConfigError, match="manifest_encoding") as caught:
        look(make(tmp_path / name, content), **options)
    assert where in caught.value.problem


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "txt"])
def test_one_line_that_is_not_of_the_encoding_is_a_row_and_nothing_is_replaced(
    tmp_path: pathlib.Path, suffix: str
) -> None:
    names = [f"é{n}.jpg" for n in range(100)]
    lines = [json.dumps({"photo": n}) if suffix == "jsonl" else n for n in names]
    content = "\n".join(["photo", *lines] if suffix == "csv" else lines).encode()
    bad = content.replace(lines[50].encode(), lines[50].encode() + b"\xe9", 1)
    options = {"uri_column": None} if suffix == "txt" else {}
    listed = look(make(tmp_path / f"m.{suffix}", bad), **options)
    assert len(listed) == 100
    (message,) = find_messages(listed)
    assert f"(column {len(lines[50]) + 1})" in message
    assert "\ufffd" not in "".join(each.uri for each in listed if isinstance(each, ImageRef))


def test_an_encoding_that_there_is_not_is_refused() -> None:
    for name in ("klingon", "rot13", "", "undefined"):
        with pytest.raises(ConfigError) as caught:
            ManifestOptions("m.csv", "photo", encoding=name)
        assert caught.value.option == "manifest_encoding"


# JSONL


@pytest.mark.parametrize("late", [0, 1, 1100])
def test_a_field_that_a_line_lacks_is_null(tmp_path: pathlib.Path, late: int) -> None:
    lines = [{"photo": A} | ({"promo": 1} if n == late else {}) for n in range(1101)]
    path = make(tmp_path / "m.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    carried = [value for _, value in show(tmp_path, look(path, "promo"))]
    assert carried == [1 if n == late else None for n in range(1101)]  # type: ignore[comparison-overlap]


def test_a_field_that_no_line_has_is_null_and_a_slip_is_refused(tmp_path: pathlib.Path) -> None:
    path = make(tmp_path / "m.jsonl", f'{{"photo": "{A}", "shop_id": 1}}\n')
    assert show(tmp_path, look(path, "promo")) == [(A, None)]
    for slip in ("Shop_ID", "shop-id", "shopid", " shop_id"):
        with pytest.raises(ConfigError, match="did you mean shop_id"):
            look(path, slip)
    with pytest.raises(ConfigError, match="no such column"):
        look(path, uri_column="foto")


# Parts


def test_parts_of_json_lack_fields_and_lines(tmp_path: pathlib.Path) -> None:
    parts = [f'{{"photo": "{A}", "promo": "x"}}\n', f'{{"photo": "{B}"}}\n', "", "\n", '{"n": 1}\n']
    for index, content in enumerate(parts):
        make(tmp_path / f"js/part-{index:05d}.json", content)
    make(tmp_path / "js/_SUCCESS", "")
    make(tmp_path / "js/.part-00000.json.crc", "x")
    for url in (
        tmp_path / "js",
        f"{tmp_path}/js/part-*.json",
        f"{tmp_path}/js/part-0000{{0..4}}.json",
    ):
        shown = [
            (name.rpartition("/")[2], value) for name, value in show(tmp_path, look(url, "promo"))
        ]
        assert shown == [(A, "x"), (B, None), ("!1", None)]


def test_empty_parts_of_csv_are_empty_and_each_has_its_own_header(tmp_path: pathlib.Path) -> None:
    parts = [f"photo,n\n{A},1\n", "", "photo,n\n", f"n,photo\n2,{B}\n", "\ufeff", "\n\n"]
    for index, content in enumerate(parts):
        make(tmp_path / f"cs/part-{index}.csv", content)
    listed = look(tmp_path / "cs", "n")
    assert show(tmp_path / "cs", listed) == [(A, "1"), (B, "2")]
    make(tmp_path / "cs/part-9.csv", f"picture,n\n{C},1\n")
    with pytest.raises(ConfigError, match=r"no such column; columns: picture, n; in .*part-9\.csv"):
        look(tmp_path / "cs", "n")


def test_a_folder_of_empty_parts_names_nothing(tmp_path: pathlib.Path) -> None:
    for index, content in enumerate(["", "photo\n", "\n"]):
        make(tmp_path / f"cs/part-{index}.csv", content)
    with pytest.raises(ConfigError, match="no images there"):
        look(tmp_path / "cs")


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "parquet", "ndjson.bz2"])
def test_columns_that_stand_in_the_path_are_carried(tmp_path: pathlib.Path, suffix: str) -> None:
    import bz2
    import gzip

    shops = {"de": "de", "a%2Fb": "a/b", "__HIVE_DEFAULT_PARTITION__": None, "007": "007"}
    for index, shop in enumerate(shops):
        path = tmp_path / f"m/day=2026-01-01/shop={shop}/part-{index}.{suffix}"
        names = [f"/x/{index}.jpg", f"/y/{index}.jpg"]
        if suffix == "parquet":
            path.parent.mkdir(parents=True)
            pq.write_table(pa.table({"photo": names}), path)
            continue
        is_csv = suffix.startswith("csv")
        lines = ["photo", *names] if is_csv else [json.dumps({"photo": name}) for name in names]
        data = "\n".join(lines).encode()
        packed = {"gz": gzip.compress, "bz2": bz2.compress}.get(suffix.rpartition(".")[2])
        make(path, packed(data) if packed else data)
    listed = look(tmp_path / "m", "shop", "day")
    found = {
        (each.attributes or {})["shop"]: (each.attributes or {})["day"]
        for each in listed
        if isinstance(each, ImageRef)
    }
    assert len(listed) == 8
    assert found == dict.fromkeys(shops.values(), "2026-01-01")


def test_a_column_of_the_file_wins_over_its_path(tmp_path: pathlib.Path) -> None:
    make(tmp_path / "shop=de/m.csv", f"photo,shop\n{A},fr\n")
    assert [value for _, value in show(tmp_path, look(tmp_path / "shop=de/m.csv", "shop"))] == [
        "fr"
    ]
    with pytest.raises(ConfigError, match="no such column"):
        look(tmp_path / "shop=de/m.csv", "day")


# Parquet

TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.json_()]
BINARIES = [pa.binary(), pa.large_binary(), pa.binary_view()]


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("kind", [*TEXTS, "dictionary"], ids=str)
def test_every_layout_of_text_names_images(
    tmp_path: pathlib.Path, kind: Any, is_nested: bool
) -> None:
    names = [A, None, B]
    column = pa.array(names).dictionary_encode() if kind == "dictionary" else pa.array(names, kind)
    table = pa.table({"photo": column, "n": column})
    if is_nested:
        table = pa.table({"x": pa.StructArray.from_arrays([column, column], ["photo", "n"])})
    pq.write_table(table, tmp_path / "m.parquet")
    inner = "x." if is_nested else ""
    listed = look(tmp_path / "m.parquet", f"{inner}n", uri_column=f"{inner}photo")
    assert show(tmp_path, listed) == [(A, A), ("!1", None), (B, B)]


@pytest.mark.parametrize("is_struct", [False, True])
@pytest.mark.parametrize("kind", [*BINARIES, "dictionary"], ids=str)
def test_every_layout_of_binary_holds_images(
    tmp_path: pathlib.Path, kind: Any, is_struct: bool
) -> None:
    cells = [b"one", b"two", None, b"four", b"two"]
    column = pa.array(cells).dictionary_encode() if kind == "dictionary" else pa.array(cells, kind)
    if is_struct:
        column = pa.StructArray.from_arrays([column], ["bytes"])
    pq.write_table(pa.table({"image": column}), tmp_path / "m.parquet")
    listed = look(tmp_path / "m.parquet", uri_column=None, image_column="image")
    read = read_images(listed, ReadOptions())
    assert [each.data if isinstance(each, EncodedImage) else None for each in read] == cells


def test_parts_of_parquet_may_be_empty_or_have_no_uris(tmp_path: pathlib.Path) -> None:
    text = {"photo": pa.array([A])}
    for index, columns in enumerate(
        [text, {"photo": pa.array([], pa.string())}, {"photo": pa.nulls(1)}]
    ):
        (tmp_path / "m").mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), tmp_path / f"m/part-{index}.parquet")
    assert show(tmp_path / "m", look(tmp_path / "m")) == [(A, None), ("!0", None)]
    pq.write_table(pa.table({"n": [1]}), tmp_path / "m/part-3.parquet")
    with pytest.raises(ConfigError, match=r"part-3\.parquet"):
        look(tmp_path / "m")


# Lists of more than images


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_a_line_may_name_an_archive_whose_members_have_its_columns(
    tmp_path: pathlib.Path, suffix: str
) -> None:
    for shard in range(3):
        members = [(f"{shard}-{n}.jpg", bytes([n])) for n in range(2)] + [("x.json", b"{}")]
        write_tar(tmp_path / f"s{shard}.tar", members)
    make(tmp_path / "damaged.tar", b"x" * 1024)
    names = [
        "s0.tar",
        f"{tmp_path}/s1.TAR",
        f"file:{tmp_path}/s2.tar",
        "gone.tar",
        "damaged.tar",
        A,
    ]
    (tmp_path / "s1.TAR").write_bytes((tmp_path / "s1.tar").read_bytes())
    lines = {
        "txt": names,
        "csv": ["photo,shop", *(f"{name},{i}" for i, name in enumerate(names))],
        "jsonl": [json.dumps({"photo": name, "shop": str(i)}) for i, name in enumerate(names)],
    }[suffix]
    carry, options = (("shop",), {}) if suffix != "txt" else ((), {"uri_column": None})
    listed = look(make(tmp_path / f"m.{suffix}", "\n".join(lines)), *carry, **options)
    refs = [each for each in listed if isinstance(each, ImageRef)]
    members = [ref for ref in refs if "::" in ref.uri]
    assert [ref.uri.rpartition("/")[2] for ref in refs] == [
        *("s0.tar::0-0.jpg", "s0.tar::0-1.jpg", "s1.TAR::1-0.jpg", "s1.TAR::1-1.jpg"),
        *("s2.tar::2-0.jpg", "s2.tar::2-1.jpg", A),
    ]
    if suffix != "txt":
        assert [(ref.attributes or {})["shop"] for ref in refs] == [*"001122", "5"]
    read = read_images(members, ReadOptions())
    assert [each.data for each in read if isinstance(each, EncodedImage)] == [b"\0", b"\1"] * 3
    gone, damaged = (each for each in listed if isinstance(each, Failure))
    assert gone.ref.uri == f"file://{tmp_path}/gone.tar"
    assert (gone.code, gone.message) == (
        FailureCode.UNLISTABLE,
        "the line names an archive that is not there; its images are not known",
    )
    assert damaged.ref.uri.startswith(f"file://{tmp_path}/damaged.tar")


@pytest.mark.parametrize(
    "spelling", ["file:{}", "file://localhost{}", "FILE:{}", "file://{}", "{}"]
)
def test_a_line_names_a_local_file_in_any_spelling(tmp_path: pathlib.Path, spelling: str) -> None:
    make(tmp_path / "a b.jpg", b"x")
    path = make(tmp_path / "m.txt", spelling.format(f"{tmp_path}/a b.jpg"))
    assert show(tmp_path, look(path, uri_column=None)) == [("a b.jpg", None)]
    (read,) = read_images(look(path, uri_column=None), ReadOptions())
    assert isinstance(read, EncodedImage)
    assert urllib.parse.urlsplit(read.ref.uri).netloc == ""


def test_columns_with_blanks_at_their_ends_are_shown_in_quotes(tmp_path: pathlib.Path) -> None:
    path = make(tmp_path / "m.jsonl", f'{{" photo ": "{A}", "n": 1}}\n')
    with pytest.raises(ConfigError, match="did you mean ' photo '"):
        look(path)
    assert show(tmp_path, look(path, uri_column=" photo ")) == [(A, None)]


@pytest.mark.parametrize(
    ("suffix", "other"), [("csv", ";"), ("csv", "\t"), ("tsv", ","), ("csv", "|")]
)
def test_fields_between_something_else_are_said_so(
    tmp_path: pathlib.Path, suffix: str, other: str
) -> None:
    path = make(tmp_path / f"m.{suffix}", f"title{other}photo\nx{other}{A}\n")
    message = "no such column" if suffix == "tsv" else "its fields lie between"
    with pytest.raises(ConfigError, match=message):
        look(path)


def test_an_array_of_json_says_how_to_make_lines_of_it(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="jq -c"):
        look(make(tmp_path / "m.json", f'[\n{{"photo": "{A}"}}\n]'))


def test_requests_in_utf_16_are_refused(tmp_path: pathlib.Path) -> None:
    path = make(tmp_path / "r.jsonl", '{"inputs": ""}\n'.encode("utf-16"))
    with pytest.raises(ConfigError, match="UTF-16"):
        check_inputs(InputOptions(requests=(str(path),)))
