"""CSV, JSONL and text manifests: what their lines name, and what comes of the others."""

import bz2
import gzip
import itertools
import json
import lzma
import pathlib
from typing import Any

import fsspec
import pytest

from imgcls_beam.attributes import MAX_NESTING, encode_attributes
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, Stage
from imgcls_beam.listing.manifests import list_manifest
from imgcls_beam.options import ManifestOptions

HEAD_LINES = 1000
LINE_CHARS = 1 << 20


def list_text(
    tmp_path: pathlib.Path, name: str, content: str | bytes, *carry: str
) -> list[ImageRef | Failure]:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(data)
    column = None if ".txt" in name or ".list" in name else "uri"
    options = ManifestOptions(str(tmp_path / name), column, carry_columns=carry)
    return list(list_manifest(options))


def show(tmp_path: pathlib.Path, listed: list[ImageRef | Failure]) -> list[str]:
    """URIs below the folder, `!` before those of failures."""
    for each in listed:
        if isinstance(each, Failure):
            assert (each.code, each.stage) == (FailureCode.INVALID_REFERENCE, Stage.LIST)
            assert not each.retryable
    uris = ["!" + each.ref.uri if isinstance(each, Failure) else each.uri for each in listed]
    return [uri.replace(f"file://{tmp_path}/", "") for uri in uris]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.txt", "a.jpg\nb c.jpg\n", ["a.jpg", "b c.jpg"]),
        ("m.txt", "\ufeffa.jpg\r\n\r\n  b.jpg\t", ["a.jpg", "b.jpg"]),
        ("m.list", "a.jpg\n#b.jpg\n", ["a.jpg", "#b.jpg"]),
        ("m.txt", "é\u2028.jpg\na\x85.jpg\n", ["é\u2028.jpg", "!m.txt::2"]),
        ("m.txt", "é🐈.jpg\n", ["é🐈.jpg"]),
        ("m.txt", b"lone\xff.jpg\n" + b"b.jpg\n" * 30, ["!m.txt::1", *["b.jpg"] * 30]),
        ("m.txt", "a\x01.jpg\n\n\na\x7f.jpg\n", ["!m.txt::1", "!m.txt::4"]),
        ("m.txt", "x" * 9000 + "\nb.jpg", ["!m.txt::1", "b.jpg"]),
        ("m.txt", "x" * (2 * LINE_CHARS + 5) + "\nb.jpg", ["!m.txt::1", "b.jpg"]),
        ("m.txt", "x" * LINE_CHARS + "\nb.jpg", ["!m.txt::1", "b.jpg"]),
        ("m.txt", " " * LINE_CHARS + "a.jpg\nb.jpg", ["!m.txt::1", "b.jpg"]),
        ("m.txt", "", []),
        ("m.csv", "uri\na.jpg\nb.jpg\n", ["a.jpg", "b.jpg"]),
        ("m.csv", "uri\n" + "x" * (LINE_CHARS + 1) + "\nb.jpg\n", ["!m.csv::2", "b.jpg"]),
        ("m.csv", "\ufeffuri,n\r\na.jpg,1\r\nb.jpg,2", ["a.jpg", "b.jpg"]),
        ("m.csv", "n,uri\n1,a.jpg\n\n2\n3,\n4,  \n5,b.jpg", None),
        ("m.csv", '\nn,uri\n"1\n\n2","a,b.jpg"\n,"c""d.jpg"\n', ["a,b.jpg", 'c"d.jpg']),
        ("m.csv", 'uri,n\na.jpg,5" wide\n"b.jpg" ,"x\n', ["a.jpg", "!m.csv::3"]),
        ("m.csv", 'uri,n\n "b.jpg" , "x"\n', ["b.jpg"]),
        ("m.csv", 'uri,n\na.jpg,"open\nb.jpg,1\nc.jpg', ["!m.csv::2", "b.jpg", "c.jpg"]),
        ("m.csv", "uri,n\na.jpg,%s\nb.jpg,1" % ("x" * 140_000), ["!m.csv::2", "b.jpg"]),
        ("m.csv", "uri,n\na.jpg,%s\nb.jpg,1" % ("," * LINE_CHARS), ["!m.csv::2", "b.jpg"]),
        ("m.csv", "uri,n,n,n\na.jpg\n", ["a.jpg"]),
        ("m.csv", b"uri\nlone\xff.jpg\n" + b"b.jpg\n" * 30, ["!m.csv::2", *["b.jpg"] * 30]),
        ("m.csv", "uri\n", []),
        ("m.tsv", "n\turi\n1,2\ta,b.jpg\n", ["a,b.jpg"]),
        (
            "m.jsonl",
            '{"uri": "a.jpg"}\n\n {"uri": "b.jpg", "uri": "c.jpg"} \r\n',
            ["a.jpg", "c.jpg"],
        ),
        ("m.ndjson", '\ufeff{"uri": "\\u00e9\\ud83d\\udc08.jpg"}', ["é🐈.jpg"]),
        ("m.json", '{"uri": "a.jpg"}', ["a.jpg"]),
        ("m.jsonl", '{"uri": "a.jpg"}\n{"uri": null}\n{"n": 1}\n{"uri": 7}\n{"uri": ["x"]}', None),
        (
            "m.jsonl",
            '{"uri": "a.jpg"}\n{"uri": ""}\n[1]\n{broken\n"text"\nnull\n{"uri": "b.jpg"}',
            None,
        ),
        ("m.jsonl", '{"uri": "a.jpg"}\n{"uri": "\\ud800.jpg"}\n{"uri": "a\\nb"}', None),
        (
            "m.jsonl",
            '{"uri": "a.jpg"}\n' + " " * LINE_CHARS + '{"uri": "b.jpg"}\n{"uri": "c.jpg"}',
            ["a.jpg", "!m.jsonl::2", "c.jpg"],
        ),
        ("m.jsonl", '{"uri": "a.jpg"}\n' + '{"uri":' * 5000, ["a.jpg", "!m.jsonl::2"]),
        ("m.jsonl", '{"uri": "a.jpg"}\n{"n": %s}' % ("9" * 5000), ["a.jpg", "!m.jsonl::2"]),
        ("m.jsonl", "", []),
    ],
    ids=itertools.count(),
)
def test_every_line_is_an_image_or_a_failure_of_its_own(
    tmp_path: pathlib.Path, name: str, content: str | bytes, expected: list[str] | None
) -> None:
    given = {
        "m.csv": ["!m.csv::4", "!m.csv::5", "!m.csv::6", "b.jpg"],
        "m.jsonl": [f"!m.jsonl::{line}" for line in range(2, str(content).count("\n") + 2)],
    }
    if expected is None:
        expected = ["a.jpg", *given[name]]
        if str(content).endswith('"b.jpg"}'):
            expected[-1] = "b.jpg"
    assert show(tmp_path, list_text(tmp_path, name, content)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"uri": null}', "the line names no image: there is no text where its URI should be"),
        ('{"uri": " "}', "the line names no image: there is no text where its URI should be"),
        ('{"uri": "a\\u0000"}', "the line's URI holds control characters"),
        ('{"uri": "\\udc80"}', "the line's URI is not UTF-8"),
        ("{", "the line is not a JSON object"),
        ('"' + "x" * LINE_CHARS + '"', "the line is longer than 1,048,576 characters"),
    ],
)
def test_a_failure_says_why_in_a_sentence_without_the_lines_own_text(
    tmp_path: pathlib.Path, content: str, message: str
) -> None:
    _, failure = list_text(tmp_path, "m.jsonl", '{"uri": "a.jpg"}\n' + content)
    assert isinstance(failure, Failure)
    assert failure.message == message


@pytest.mark.parametrize(
    ("value", "uri"),
    [
        ("a.jpg", "memory:///m/a.jpg"),
        ("./x/../a.jpg", "memory:///m/a.jpg"),
        ("../a.jpg", "memory:///a.jpg"),
        ("a..jpg", "memory:///m/a..jpg"),
        ("a[1]*.jpg", "memory:///m/a[1]*.jpg"),
        ("../../../a.jpg", "memory:///a.jpg"),
        ("memory://b/a.jpg", "memory:///b/a.jpg"),
        ("MEMORY:///b/a.jpg", "memory:///b/a.jpg"),
        ("https://example.invalid/a.jpg", "https://example.invalid/a.jpg"),
        ("nobody://knows/a.jpg", "nobody://knows/a.jpg"),
        ("x.tar::a.jpg", "memory:///m/x.tar::a.jpg"),
        ("data:image/png;base64,AAAA", "memory:///m/data:image/png;base64,AAAA"),
    ],
)
def test_a_path_is_relative_to_the_manifest_and_a_url_is_spelt_as_listings_spell_it(
    value: str, uri: str
) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/m/m.jsonl", json.dumps({"uri": value}).encode())
    (ref,) = list_manifest(ManifestOptions("memory://m/m.jsonl", "uri"))
    assert ref == ImageRef(uri)
    store.rm("/m", recursive=True)


@pytest.mark.parametrize("value", ["/data/A.jpg", "file:///data/A.jpg", "FILE:///data/A.jpg"])
def test_a_manifest_of_this_machine_names_its_files(tmp_path: pathlib.Path, value: str) -> None:
    (ref,) = list_text(tmp_path, "m.jsonl", json.dumps({"uri": value}))
    assert ref == ImageRef("file:///data/A.jpg")


@pytest.mark.parametrize(
    "value",
    ["/data/a.jpg", "//data/a.jpg", "file:///data/a.jpg", "FILE:///data/a.jpg", "local:///a"],
)
def test_a_manifest_that_lies_elsewhere_names_no_file_of_this_machine_unless_allowed(
    value: str,
) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/m/m.jsonl", json.dumps({"uri": value}).encode())
    options = ManifestOptions("memory://m/m.jsonl", "uri")
    (refused,) = list_manifest(options)
    assert isinstance(refused, Failure)
    assert refused.code is FailureCode.INVALID_REFERENCE
    assert refused.ref.uri == "memory:///m/m.jsonl::1"
    assert "--allow_scheme=file" in refused.message
    assert value not in refused.message
    for allowed in ("file", "FILE", "local"):
        (ref,) = list_manifest(options, (allowed,))
        assert isinstance(ref, ImageRef)
        assert ref.uri.startswith("file:///")
    store.rm("/m", recursive=True)


@pytest.mark.parametrize(
    "inner", ["file:///etc/passwd", "local:///a", "https://192.0.2.1/a", "gs://b/a"]
)
@pytest.mark.parametrize(
    "outer", ["gs://", "S3://", "memory://", "hf://", "https://", "gs:////", "gs:///"]
)
def test_a_url_within_a_url_leads_nowhere_else(outer: str, inner: str) -> None:
    """Some file systems take a path for the URL that it looks like; `gs://file:///a` was one."""
    store = fsspec.filesystem("memory")
    store.pipe_file("/m/m.jsonl", json.dumps({"uri": outer + inner}).encode())
    (found,) = list_manifest(ManifestOptions("memory://m/m.jsonl", "uri"), ("https",))
    if isinstance(found, Failure):
        assert found.code is FailureCode.INVALID_REFERENCE
    else:
        assert found.uri.startswith(outer.lower())
    store.rm("/m", recursive=True)


@pytest.mark.parametrize(
    "value",
    [
        "ftp:///a.jpg",
        "ftp://host:port/a.jpg",
        "ftp://[/a.jpg",
        "ftp://user:secret@host/a.jpg",
        "s3://[/a.jpg",
    ],
)
def test_a_uri_that_names_no_store_is_a_failure_that_does_not_repeat_it(
    tmp_path: pathlib.Path, value: str
) -> None:
    (tmp_path / "m.txt").write_text(value)
    (failure,) = list_manifest(ManifestOptions(f"{tmp_path}/m.txt"), ("ftp",))
    assert isinstance(failure, Failure)
    assert failure.ref.uri == f"file://{tmp_path}/m.txt::1"
    assert failure.message == (
        "the line's URI names no store: its host is missing, unknown, or has a password"
    )


def test_a_text_list_of_gs_uris_needs_no_store_to_be_listed(tmp_path: pathlib.Path) -> None:
    uris = ["gs://bucket/a.jpg", "s3://bucket/x//b.jpg", "abfs://container/c.jpg", "hf://d/e/f.jpg"]
    (tmp_path / "m.txt").write_text("\n".join(uris))
    refs = [each for each in list_manifest(ManifestOptions(f"{tmp_path}/m.txt"))]
    assert [each.uri for each in refs if isinstance(each, ImageRef)] == uris


@pytest.mark.parametrize(
    ("fields", "carry", "expected"),
    [
        ('"a": "\u00e9\\n\\"<"', ("a",), '{"a":"é\\n\\"<"}'),
        ('"a": 1, "b": 0.1, "c": true', ("c", "n", "b", "a"), '{"c":true,"n":null,"b":0.1,"a":1}'),
        ('"a": 1e300, "b": -0.0, "c": 1.0', ("a", "b", "c"), '{"a":1e+300,"b":-0.0,"c":1.0}'),
        ('"a": 100000000000000000000', ("a",), '{"a":100000000000000000000}'),
        ('"a": {"b": [1, {"c": 2}]}', ("a.b", "a"), '{"a.b":[1,{"c":2}],"a":{"b":[1,{"c":2}]}}'),
        ('"a": {"b": {"c": 3}}, "a.b": 4', ("a.b", "n.x"), '{"a.b":4,"n.x":null}'),
        ('"a": {"b": {"c": 3}}', ("a.b.c",), '{"a.b.c":3}'),
        (
            '"a": NaN, "b": [-Infinity, {"c": 1e400}]',
            ("a", "b"),
            '{"a":null,"b":[null,{"c":null}]}',
        ),
        ('"a": []', ("a", "a"), '{"a":[]}'),
        ('"b": 1', ("a",), '{"a":null}'),
        ('"a": ' + "[" * 400 + "NaN" + "]" * 400, ("b",), '{"b":null}'),
    ],
    ids=itertools.count(),
)
def test_carried_fields_keep_their_types_and_their_order(
    tmp_path: pathlib.Path, fields: str, carry: tuple[str, ...], expected: str
) -> None:
    known = '{"uri": "k.jpg", "a": {"b": {"c": 0}}, "b": 0, "c": 0, "n": {"x": 0}, "a.b": 0}'
    line = '{"uri": "a.jpg", ' + fields + "}"
    _, ref = list_text(tmp_path, "m.jsonl", f"{known}\n{line}", *carry)
    assert isinstance(ref, ImageRef)
    assert encode_attributes(ref.attributes or {}) == expected


@pytest.mark.parametrize("depth", [MAX_NESTING, 700, 20_000, 100_000])
@pytest.mark.parametrize("inner", ["1", "NaN"])
def test_fields_that_are_nested_without_end_are_a_failure(
    tmp_path: pathlib.Path, depth: int, inner: str
) -> None:
    """By a limit of ours: that of Python is another in each version."""
    lines = (
        f'{{"uri": "{name}.jpg", "a": ' + "[" * levels + inner + "]" * levels + "}"
        for name, levels in (("a", 0), ("b", MAX_NESTING - 1), ("c", depth))
    )
    listed = list_text(tmp_path, "m.jsonl", "\n".join(lines), "a")
    assert show(tmp_path, listed) == ["a.jpg", "b.jpg", "!m.jsonl::3"]


def test_carried_csv_fields_are_text_and_a_bad_line_keeps_its_own(tmp_path: pathlib.Path) -> None:
    content = 'n,uri,x y\n007,a.jpg,"é\n"\n1.50,b.jpg\n8,,z\n'
    first, second, third = list_text(tmp_path, "m.csv", content, "x y", "n")
    assert isinstance(first, ImageRef)
    assert isinstance(second, ImageRef)
    assert isinstance(third, Failure)
    assert first.attributes == {"x y": "é\n", "n": "007"}
    assert second.attributes == {"x y": None, "n": "1.50"}
    assert third.ref.attributes == {"x y": "z", "n": "8"}


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_packed_manifest_is_read_too_and_a_damaged_one_stops_the_job(
    tmp_path: pathlib.Path, suffix: str, pack: Any
) -> None:
    for name in ("m.csv", "m.CSV"):
        packed = pack(b"uri\na.jpg\n")
        assert show(tmp_path, list_text(tmp_path, name + suffix, packed)) == ["a.jpg"]
    packed = pack(b"".join(b'{"uri": "%d.jpg"}\n' % number for number in range(50_000)))
    for damaged in (packed[: len(packed) // 2], b"uri\na.jpg\n"):
        with pytest.raises(ConfigError) as caught:
            list_text(tmp_path, f"m.jsonl{suffix}", damaged)
        assert caught.value.option == "input_manifest"
        assert f"m.jsonl{suffix}" in str(caught.value)


def test_a_column_may_first_appear_anywhere(tmp_path: pathlib.Path) -> None:
    late = '{"uri": "b.jpg", "x": 1}'
    lines = ['{"uri": "a.jpg"}'] * (HEAD_LINES + 1)
    listed = list_text(tmp_path, "m.jsonl", "\n".join([*lines, late]), "x")
    refs = [each for each in listed if isinstance(each, ImageRef)]
    assert [each.attributes for each in refs] == [{"x": None}] * len(lines) + [{"x": 1}]


def test_a_glob_reads_every_manifest_that_it_matches(tmp_path: pathlib.Path) -> None:
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / name).write_text(f"{name}.jpg\n")
    listed = list(list_manifest(ManifestOptions(f"{tmp_path}/*.txt")))
    assert show(tmp_path, listed) == ["a.txt.jpg", "b.txt.jpg"]


@pytest.mark.slow
def test_the_first_line_is_given_before_the_last_one_is_read(tmp_path: pathlib.Path) -> None:
    lines = ["uri", *(f"{number}.jpg" for number in range(100_000))]
    packed = gzip.compress("\n".join(lines).encode())
    (tmp_path / "m.csv.gz").write_bytes(packed[:-100])
    listed = list_manifest(ManifestOptions(f"{tmp_path}/m.csv.gz", "uri"))
    assert next(listed) == ImageRef(f"file://{tmp_path}/0.jpg")
    with pytest.raises(ConfigError, match="cut off"):
        list(listed)
