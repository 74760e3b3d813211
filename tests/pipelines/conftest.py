"""Programs that are told no runner use the default one of these tests."""

import os
from collections.abc import Iterator

import pytest

from tests.runners import PRISM, RUNNER


@pytest.fixture(scope="session", autouse=True)
def default_runner() -> Iterator[None]:
    """Another default, where `make test-prism` says so, and its Prism in the PATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.runners.DEFAULT_RUNNER", RUNNER)
        if RUNNER == "PrismRunner" and PRISM is not None:
            patch.setenv("PATH", os.path.dirname(PRISM), prepend=os.pathsep)
        yield
