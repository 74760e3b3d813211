"""Request files: lines are found by their bytes, and not looked into."""

import io
import itertools
import pathlib

import fsspec
import pytest

from imgcls_beam.elements import ImageRef, RequestLine
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.request_files import find_lines, list_requests

CHUNK_BYTES = 1 << 20
LONG = b"x" * (2 * CHUNK_BYTES + 7)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n\r\n  \t\n", []),
        (b"a\nbb\n", [(1, b"a"), (2, b"bb")]),
        (b"a\nbb", [(1, b"a"), (2, b"bb")]),
        (b"a\r\nbb\r\n", [(1, b"a"), (2, b"bb")]),
        (b"a\r\nbb\r", [(1, b"a"), (2, b"bb")]),
        (b"a\n\n \r\nd", [(1, b"a"), (4, b"d")]),
        (b" a \n", [(1, b" a ")]),
        (b"a\rb\n", [(1, b"a\rb")]),
        (b"a\x0bb\x1c\xc2\x85\xe2\x80\xa8c\n", [(1, b"a\x0bb\x1c\xc2\x85\xe2\x80\xa8c")]),
        (b"\xef\xbb\xbfa\nb\n", [(1, b"a"), (2, b"b")]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf\n\xef\xbb\xbfb", [(2, b"\xef\xbb\xbfb")]),
        (LONG + b"\nb\n" + LONG, [(1, LONG), (2, b"b"), (3, LONG)]),
        (b"x" * CHUNK_BYTES + b"\nb", [(1, b"x" * CHUNK_BYTES), (2, b"b")]),
        (b"x" * (CHUNK_BYTES - 1) + b"\r\nb", [(1, b"x" * (CHUNK_BYTES - 1)), (2, b"b")]),
        (b"x" * (CHUNK_BYTES - 1) + b"\nb", [(1, b"x" * (CHUNK_BYTES - 1)), (2, b"b")]),
        (b" " * CHUNK_BYTES + b"\n" + b" " * CHUNK_BYTES + b"b", None),
    ],
    ids=itertools.count(),
)
def test_lines_are_found_by_number_and_bytes(
    content: bytes, lines: list[tuple[int, bytes]] | None
) -> None:
    if lines is None:
        lines = [(2, b" " * CHUNK_BYTES + b"b")]
    found = list(find_lines(io.BytesIO(content)))
    assert [(number, content[start:end]) for number, start, end in found] == lines


def test_a_line_is_listed_with_its_place_and_the_marks_of_its_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(b"\xef\xbb\xbf{}\r\n\r\n{ }")
    first, second = list_requests(str(file))
    assert isinstance(first, ImageRef)
    assert isinstance(second, ImageRef)
    assert (first.uri, first.locator, first.size_bytes) == (
        f"{file.as_uri()}::1",
        RequestLine(3, 5),
        2,
    )
    assert (second.uri, second.locator) == (f"{file.as_uri()}::3", RequestLine(9, 12))
    assert first.object_uri == second.object_uri == file.as_uri()
    assert first.version == second.version
    assert first.updated_at == second.updated_at
    assert first.updated_at is not None


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["a.jsonl::1", "b/c.NDJSON::1", "b/c.NDJSON::2"]),
        ("a.jsonl", ["a.jsonl::1"]),
        ("notes.txt", ["notes.txt::1"]),
        ("*.jsonl", ["a.jsonl::1"]),
        ("**/*.NDJSON", ["b/c.NDJSON::1", "b/c.NDJSON::2"]),
        ("d[1].jsonl", ["d[1].jsonl::1"]),
    ],
)
def test_a_folder_gives_its_request_files_and_a_name_or_a_glob_what_it_names(
    tmp_path: pathlib.Path, pattern: str, names: list[str]
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.jsonl").write_text("1\n")
    (tmp_path / "b" / "c.NDJSON").write_text("1\n2\n")
    (tmp_path / "empty.jsonl").write_text("")
    for name in ("notes.txt", "photo.jpg", "archive.zip", "shard.tar"):
        (tmp_path / name).write_text("1\n")
    if pattern.startswith("d"):
        (tmp_path / pattern).write_text("1\n")
    uris = [
        each.uri for each in list_requests(f"{tmp_path}/{pattern}") if isinstance(each, ImageRef)
    ]
    assert [uri.removeprefix(f"{tmp_path.as_uri()}/") for uri in uris] == names


def test_requests_in_a_store_are_listed_too() -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/requests/r.jsonl", b"1\n2\n")
    for url in ("memory://requests", "memory://requests/r.jsonl", "memory://requests/*"):
        refs = [each for each in list_requests(url) if isinstance(each, ImageRef)]
        assert [ref.uri for ref in refs] == [f"memory:///requests/r.jsonl::{n}" for n in (1, 2)]
    store.rm("/requests", recursive=True)


@pytest.mark.parametrize("name", ["r.jsonl.gz", "r.JSONL.GZ", "r.ndjson.zst", "r.tar", "r.zip"])
def test_a_compressed_file_is_refused_by_the_option_of_requests(
    tmp_path: pathlib.Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"1\n")
    with pytest.raises(ConfigError) as refused:
        list(list_requests(str(tmp_path / name)))
    assert refused.value.option == "requests"
    assert "unpack" in refused.value.problem or "archive" in refused.value.problem


def test_a_folder_that_holds_compressed_requests_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jsonl").write_text("1\n")
    (tmp_path / "b.jsonl.gz").write_bytes(b"1\n")
    with pytest.raises(ConfigError, match="compressed"):
        list(list_requests(str(tmp_path)))


@pytest.mark.parametrize("name", ["gone.jsonl", "gone/", "a::b.jsonl"])
def test_what_is_not_there_or_cannot_be_named_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "a::b.jsonl").write_text("1\n")
    with pytest.raises(ConfigError) as refused:
        list(list_requests(f"{tmp_path}/{name}"))
    assert refused.value.option == "requests"
