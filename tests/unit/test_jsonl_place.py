"""Where responses are to be written is looked at before anything is read."""

import pathlib
from collections.abc import Callable

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.sinks import check_jsonl_free
from tests import by_url
from tests.staged import empty_stores


@pytest.mark.parametrize("place", ["{tmp}", "mortalbucket://out"])
def test_a_free_place_is_found_free_and_left_as_it_was(tmp_path: pathlib.Path, place: str) -> None:
    empty_stores()
    folder = place.format(tmp=tmp_path)
    check_jsonl_free(f"{folder}/r.jsonl")
    check_jsonl_free(f"{folder}/new/deep/r.jsonl")
    assert by_url.list_names(folder) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [pathlib.Path.touch, pathlib.Path.mkdir])
def test_a_place_that_is_taken_is_refused(
    tmp_path: pathlib.Path, make: Callable[[pathlib.Path], None]
) -> None:
    make(tmp_path / "r.jsonl")
    with pytest.raises(ConfigError, match="is there already"):
        check_jsonl_free(str(tmp_path / "r.jsonl"))


@pytest.mark.parametrize("place", ["file/r.jsonl", "new/"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path: pathlib.Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as refused:
        check_jsonl_free(f"{tmp_path}/{place}")
    assert refused.value.option == "output_jsonl"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
