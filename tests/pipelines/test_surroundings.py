"""What `doctor` finds round a job, each problem with what to do."""

import argparse
import importlib.metadata
import os
import pathlib
import re
import shutil
from collections import namedtuple
from typing import Any

import pytest
from huggingface_hub import constants

from imgcls_beam.errors import ConfigError, ImgclsError, ModelError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.options import OutputOptions
from pipelines import surroundings

Usage = namedtuple("Usage", "total used free")


def asked(model: str = "owner/model", **options: Any) -> argparse.Namespace:
    model_options = ModelOptions(model, **options)
    return argparse.Namespace(model=model_options, output=OutputOptions("out"), beam=None)


def find(check: Any, **options: Any) -> tuple[list[str], ImgclsError | None]:
    lines: list[str] = []
    try:
        lines += check(asked(**options))
    except ImgclsError as error:
        return lines, error
    return lines, None


def test_a_hub_that_cannot_be_reached_is_never_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    lines, problem = find(surroundings.check_hub)
    assert lines == []
    assert isinstance(problem, ModelError)
    assert "http://127.0.0.1:9 cannot be reached" in str(problem)
    assert "HTTPS_PROXY" in str(problem)


def test_the_hub_is_not_asked_for_a_model_in_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_answers", None)
    lines, problem = find(surroundings.check_hub, model="./model")
    assert problem is None
    assert lines == [f"{constants.ENDPOINT} is not asked: the model lies in a folder"]


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("pyarrow", "1.0", "package='pyarrow 1.0': >=24 is needed; pip install 'pyarrow>=24'"),
        ("filelock", None, "package='filelock': it is not installed; pip install 'filelock>=3.24'"),
    ],
)
def test_a_package_that_does_not_fit_is_named_with_the_command(
    name: str, version: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_version = importlib.metadata.version

    def tell(asked_name: str) -> str:
        if asked_name != name:
            return find_version(asked_name)
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    assert find(surroundings.check_packages)[1] is None
    monkeypatch.setattr(importlib.metadata, "version", tell)
    assert str(find(surroundings.check_packages)[1]) == message


@pytest.fixture
def nothing_set(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No credentials, and an empty home."""
    for name in list(os.environ):
        if re.match(r"HF_TOKEN|AWS_|AZURE_|GOOGLE_|CLOUDSDK_|IDENTITY_|MSI_", name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def test_credentials_are_there_or_not_and_never_shown(nothing_set: pytest.MonkeyPatch) -> None:
    nothing_set.setenv("AWS_ACCESS_KEY_ID", "canary")
    lines, problem = find(surroundings.check_credentials)
    assert problem is None
    assert [line.partition(" (")[0] for line in lines if "://" in line] == [
        *("s3://: found", "gs://: none", "az://: none")
    ]
    assert "canary" not in str(lines)


ACCOUNT = {"AZURE_STORAGE_ACCOUNT_NAME": "account"}
LOGIN = ("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID")
FOUND = ["az://: found"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ACCOUNT, ["az://: none (AZURE_STORAGE_CONNECTION_STRING, or az login)"]),
        ({"AZURE_STORAGE_CONNECTION_STRING": "canary"}, FOUND),
        ({**ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": "canary"}, FOUND),
        ({**ACCOUNT, "AZURE_STORAGE_SAS_TOKEN": "canary"}, FOUND),
        ({**ACCOUNT, **{f"AZURE_STORAGE_{name}": "canary" for name in LOGIN}}, FOUND),
        ({**ACCOUNT, **{f"AZURE_{name}": "canary" for name in LOGIN}}, FOUND),
        ({**ACCOUNT, "IDENTITY_ENDPOINT": "http://canary"}, FOUND),
        (
            {**ACCOUNT, "AZURE_CLIENT_ID": "canary"},
            ["az://: none (AZURE_STORAGE_CONNECTION_STRING, or az login)"],
        ),
        (
            {"AZURE_STORAGE_ACCOUNT_KEY": "canary"},
            [*FOUND, "az://: AZURE_STORAGE_ACCOUNT_NAME is not set; name the account in the URL"],
        ),
    ],
)
def test_what_adlfs_asks_azure_with_is_found_and_never_shown(
    given: dict[str, str], said: list[str], nothing_set: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        nothing_set.setenv(name, value)
    lines, problem = find(surroundings.check_credentials)
    assert problem is None
    assert [line for line in lines if line.startswith("az://")] == said
    assert "canary" not in str(lines)


@pytest.mark.parametrize("variable", [None, "AZURE_CONFIG_DIR"])
def test_a_login_of_az_is_found_where_it_leaves_it(
    variable: str | None, tmp_path: pathlib.Path, nothing_set: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("elsewhere" if variable else ".azure")
    folder.mkdir()
    (folder / "msal_token_cache.json").write_text("canary")
    if variable:
        nothing_set.setenv(variable, str(folder))
    lines, _ = find(surroundings.check_credentials)
    assert "az://: found" in lines
    assert "canary" not in str(lines)


def test_a_full_disk_is_a_problem_that_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(surroundings.check_disk)[1] is None
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 10**8))
    lines, problem = find(surroundings.check_disk)
    assert "output: 0.1 GB free at out" in lines
    assert "make room" in str(problem)


def test_cuda_that_is_asked_for_and_cannot_be_there_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from imgcls_beam.classifying import cpu

    monkeypatch.setattr(cpu, "may_have_cuda", lambda: False)
    assert find(surroundings.check_machine)[1] is None
    assert isinstance(find(surroundings.check_machine, device="cuda")[1], ConfigError)


def test_the_runner_that_may_download_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    lines, problem = find(surroundings.check_runner)
    assert problem is None
    assert lines[0].startswith("FnApiRunner")
    assert "DirectRunner may try to download Prism" in lines[-1]
