"""Manifests that cannot be used: one sentence each, by the option that is wrong."""

import itertools
import pathlib
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.manifests import is_any_listed
from imgcls_beam.options import ManifestOptions


@pytest.mark.parametrize(
    ("name", "options", "option", "problem"),
    [
        ("m.csv", {}, "uri_column", "name the column of image URIs; columns: uri, n, n"),
        ("m.csv", {"uri_column": "foto"}, "uri_column", "no such column; columns: uri, n, n"),
        ("m.csv", {"uri_column": "n"}, "uri_column", "stands there twice"),
        ("m.csv", {"uri_column": "uri", "carry_columns": ("x",)}, "carry_columns", "no such"),
        ("m.csv", {"image_column": "uri"}, "image_column", "only Parquet holds images"),
        ("m.jsonl", {}, "uri_column", "name the column of image URIs; columns: uri, a"),
        ("m.jsonl", {"uri_column": "a.c"}, "uri_column", "no such column; columns: uri, a"),
        (
            "m.jsonl",
            {"uri_column": "a.b", "carry_columns": ("URI",)},
            "carry_columns",
            "no such column; did you mean uri?",
        ),
        ("pretty.json", {"uri_column": "uri"}, "input_manifest", "does not begin with"),
        ("array.json", {"uri_column": "uri"}, "input_manifest", "does not begin with JSON objects"),
        ("m.txt", {"uri_column": "uri"}, "uri_column", "has no columns"),
        ("m.txt", {"carry_columns": ("n",)}, "carry_columns", "has no columns"),
        ("bare.csv", {"uri_column": "uri"}, "input_manifest", "UTF-16 without a byte order mark"),
        ("latin.txt", {}, "input_manifest", "line 2, column 3: it is not UTF-8"),
        ("m.xlsx", {"uri_column": "uri"}, "input_manifest", ".csv, .tsv, .jsonl, .ndjson, .json"),
        ("m", {"uri_column": "uri"}, "input_manifest", "suffix"),
        ("gone.csv", {"uri_column": "uri"}, "input_manifest", "no such file"),
        ("bq:dataset.table", {"uri_column": "uri"}, "input_manifest", "give project.dataset.table"),
    ],
    ids=itertools.count(),
)
def test_a_manifest_that_cannot_be_used_is_refused_by_the_option_that_is_wrong(
    tmp_path: pathlib.Path, name: str, options: dict[str, Any], option: str, problem: str
) -> None:
    (tmp_path / "m.csv").write_text("uri,n,n\na.jpg,1,2\n")
    (tmp_path / "m.jsonl").write_text('{"uri": "a.jpg"}\n{"a": {"b": "b.jpg"}}\n')
    (tmp_path / "array.json").write_text('[\n  {"uri": "a.jpg"},\n  {"uri": "b.jpg"}\n]')
    (tmp_path / "pretty.json").write_text('{\n  "uri": "a.jpg"\n}')
    (tmp_path / "bare.csv").write_bytes("uri\na.jpg\n".encode("utf-16-le"))
    (tmp_path / "latin.txt").write_bytes("a.jpg\ncafé.jpg\n".replace("caf", "ca").encode("latin-1"))
    for plain in ("m.txt", "m.xlsx", "m"):
        (tmp_path / plain).write_text("a.jpg\n")
    url = name if name.startswith("bq:") else f"{tmp_path}/{name}"
    with pytest.raises(ConfigError) as caught:
        is_any_listed(ManifestOptions(url, **options))
    assert caught.value.option == option
    assert problem in caught.value.problem
    assert "\n" not in str(caught.value)
