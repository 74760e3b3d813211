"""Inputs that cannot be listed: one sentence each, that names the input."""

import dataclasses
import os
import pathlib
from typing import Any

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.options import InputOptions, ManifestOptions


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "empty").mkdir()
    (tmp_path / "day").mkdir()
    for name in ("a.jpg", "shard.tar", "b.ZIP", "day/b.jpg", "day/c.tgz", "day/page.html"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "piped").symlink_to("pipe")
    return tmp_path


def list_all(url: str) -> list[str]:
    return [ref.uri for ref in list_images(InputOptions((url,)))]


@pytest.mark.parametrize(
    ("name", "named", "problem"),
    [
        ("gone", "gone", "no such file or folder"),
        ("gone/*.jpg", "gone/*.jpg", "no such file or folder"),
        ("a.jpg/below.jpg", "a.jpg/below.jpg", "no such file or folder"),
        ("x" * 300, "x" * 300, "cannot be listed"),
        ("round", "round", "cannot be listed"),
        ("pipe", "pipe", "neither a file nor a folder"),
        ("piped", "piped", "neither a file nor a folder"),
        ("/dev/zero", "/dev/zero", "neither a file nor a folder"),
        ("*.ZIP", "*.ZIP", "pack again as .tar"),
        ("b.ZIP", "b.ZIP", "pack again as .tar"),
        ("day**/a.jpg", "day**/a.jpg", "whole folder names"),
    ],
)
def test_what_cannot_be_listed_is_refused_by_name(
    tree: pathlib.Path, name: str, named: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        list_all(str(tree / name))
    assert caught.value.option == "input"
    assert problem in caught.value.problem
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_read_is_refused(
    tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    with pytest.raises(ConfigError, match="check its permissions"):
        list_all(str(tree))


def test_a_folder_that_holds_a_packed_archive_gives_its_images_only(tree: pathlib.Path) -> None:
    assert list_all(str(tree / "day")) == [f"file://{tree}/day/b.jpg"]


@pytest.mark.parametrize("name", ["empty", "empty/**", "day/*.png"])
def test_an_input_without_images_is_refused_before_the_run(tree: pathlib.Path, name: str) -> None:
    assert list_all(f"{tree}/{name}") == []
    with pytest.raises(ConfigError, match="no images there") as caught:
        check_inputs(InputOptions((f"{tree}/{name}",)))
    assert {"*.jpg", "*.webp"} <= set(caught.value.problem.replace(",", "").split())


def test_an_input_that_is_a_broken_archive_and_nothing_else_is_refused(tree: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="no tar archive") as caught:
        check_inputs(InputOptions((str(tree / "shard.tar"),)))
    assert caught.value.option == "input"
    (tree / "day/a.tar").write_bytes(b"x")
    check_inputs(InputOptions((str(tree / "day"),)))  # there is an image too: the archive is a row


@pytest.mark.parametrize(
    ("options", "option", "problem"),
    [
        ({"manifest": ManifestOptions("{t}/blank.txt")}, "input_manifest", "no lines"),
        (
            {"manifest": ManifestOptions("{t}/empty", image_column="i")},
            "input_manifest",
            "no lines",
        ),
        ({"requests": ("{t}/blank.jsonl",)}, "requests", "no requests there"),
        ({"requests": ("{t}/gone.jsonl",)}, "requests", "no such file"),
    ],
)
def test_manifest_and_requests_are_checked_before_the_run_too(
    tree: pathlib.Path, options: dict[str, Any], option: str, problem: str
) -> None:
    for name in ("blank.txt", "blank.jsonl"):
        (tree / name).write_text("\n \n")
    if manifest := options.get("manifest"):
        url = manifest.url.format(t=tree)
        given = InputOptions(manifest=dataclasses.replace(manifest, url=url))
    else:
        given = InputOptions(requests=tuple(url.format(t=tree) for url in options["requests"]))
    with pytest.raises(ConfigError, match=problem) as caught:
        check_inputs(given)
    assert caught.value.option == option


def test_every_input_is_checked_not_only_the_first(tree: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="gone"):
        check_inputs(InputOptions((str(tree / "day"), str(tree / "gone"))))
    check_inputs(InputOptions((str(tree / "day"), f"{tree}/a*")))
