"""`--manifest_encoding`: what is taken reads any bytes, and the rest is refused in a sentence."""

import encodings.aliases
import pathlib
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.options import InputOptions, ManifestOptions
from pipelines.__main__ import main

BYTES = b"photo\n0.png\n" * 20 + b"\x80\xff\xfe\n" + bytes(range(256)) + b" +2AA- \\x80\\ud800\n"


def look(path: pathlib.Path, content: bytes, encoding: str) -> list[Any]:
    path.write_bytes(content)
    column = None if path.suffix == ".txt" else "photo"
    options = InputOptions(manifest=ManifestOptions(str(path), column, encoding=encoding))
    check_inputs(options)
    return list(list_images(options))


@pytest.mark.parametrize("name", ["idna", "IDNA", "punycode", "undefined", "rot13", "zlib"])
def test_what_is_no_encoding_of_a_text_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="allowed: an encoding by its name in Python") as caught:
        ManifestOptions("m.csv", "photo", encoding=name)
    assert caught.value.option == "manifest_encoding"


@pytest.mark.parametrize("name", ["idna", "punycode"])
def test_a_program_says_so_in_a_sentence(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "m.csv").write_text("photo\n0.png\n")
    flags = [f"--input_manifest={tmp_path / 'm.csv'}", "--uri_column=photo", "--output=out"]
    assert main(["classify", *flags, f"--manifest_encoding={name}"]) == 2
    said = capsys.readouterr().err
    assert f"manifest_encoding={name!r}: allowed: an encoding by its name in Python" in said
    assert "defect" not in said


def test_every_encoding_of_python_reads_any_bytes_or_is_refused(tmp_path: pathlib.Path) -> None:
    taken = 0
    for name in sorted(set(encodings.aliases.aliases.values())):
        for suffix in ("csv", "txt"):
            try:
                look(tmp_path / f"m.{suffix}", BYTES, name)
                taken += 1
            except ConfigError:
                continue
    assert taken > 50


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "UTF_16"])
@pytest.mark.parametrize("suffix", ["csv", "txt", "jsonl"])
def test_an_encoding_that_takes_a_mark_is_refused_where_there_is_none(
    tmp_path: pathlib.Path, encoding: str, suffix: str
) -> None:
    content = "photo\na.jpg\n".encode("utf-16-le")
    with pytest.raises(ConfigError, match=r"no byte order mark, and .* takes one"):
        look(tmp_path / f"m.{suffix}", content, encoding)
    assert look(tmp_path / "m.txt", "\ufeffa.jpg\n".encode("utf-16-le"), encoding)
