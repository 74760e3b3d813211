import pathlib
import sys

import pytest

from imgcls_beam.bigquery import EMULATOR, TableName, connect, parse_table, quote_text, to_line
from imgcls_beam.errors import ConfigError

NAME = TableName("my-project", "images", "predictions")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my-project.images.predictions", NAME),
        ("example.com:my-project.d.t", TableName("example.com:my-project", "d", "t")),
        ("p1.d_2.T-3", TableName("p1", "d_2", "T-3")),
    ],
)
def test_a_name_of_three_parts_is_a_table(text: str, expected: TableName) -> None:
    assert parse_table(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "images.predictions",
        "my-project:images.predictions",
        "my-project.images.predictions.more",
        "my-project.images.predictions$20261123",
        "my-project.images.`t`; DROP TABLE x; --",
        "my-project.images.t\n",
        "my project.images.t",
        "My-Project.images.t",
        "my-project.im-ages.t",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"give project\.dataset\.table") as refused:
        parse_table(text)
    assert (refused.value.option, refused.value.value) == ("output_table", text)


@pytest.mark.parametrize(
    ("table", "runs"), [("predictions", "prediction_runs"), ("nightly", "nightly_runs")]
)
def test_the_table_of_runs_lies_beside(table: str, runs: str) -> None:
    assert NAME.beside(table).runs == TableName("my-project", "images", runs)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("nightly-2026.11.23", '"nightly-2026.11.23"'),
        ("it's", '"it\'s"'),
        ('a"b', r'"a\"b"'),
        ("a\\", r'"a\\"'),
        ("a\n\0\u2028", '"a\\n\\u0000\u2028"'),
        ("é😀", '"é😀"'),
    ],
)
def test_a_literal_ends_where_its_text_ends(text: str, literal: str) -> None:
    assert quote_text(text) == literal


def test_what_the_service_says_is_one_line_without_its_address() -> None:
    said = "GET https://host/bigquery/v2/x?y: Not found: Table p:d.t\n\nLocation: US"
    assert to_line(said) == "Not found: Table p:d.t"


def test_without_credentials_it_is_said_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    for name in (EMULATOR, "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(ConfigError, match="gcloud auth application-default login") as refused:
        connect("output_table", NAME)
    assert refused.value.option == "output_table"


def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    with pytest.raises(ConfigError, match="pip install google-cloud-bigquery"):
        connect("input_manifest", NAME)
