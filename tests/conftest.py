"""Models that several tests share; made once, of seconds."""

import pathlib

import pytest

from tests.models import FAMILIES, make_model


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """One small random model of each family."""
    root = tmp_path_factory.mktemp("models")
    return {family: make_model(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="session")
def vit_folder(model_folders: dict[str, pathlib.Path]) -> pathlib.Path:
    return model_folders["vit"]
