"""Models that several tests share; made once, of seconds."""

import importlib.util
import os
import pathlib
import signal
import sys
import types
from collections.abc import Iterator

import pytest

from imgcls_beam.stores import OTHER_RETRIES, RETRIES
from tests.built_servers import SKIPPED
from tests.programs import Mother, start_mother
from tests.scenes import write_slow

# `make timm` runs these in an environment of their own.
collect_ignore = [] if importlib.util.find_spec("timm") else ["timm_models"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts servers or takes long is left out of `make check`, and comes first.

    Files of quick tests are the last, so that no process is left alone with a slow one.
    """
    for item in items:
        if item.path.parent.name in ("services", "buckets") or item.get_closest_marker("long"):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (-count_minutes(item), item.path not in slow))


def count_minutes(item: pytest.Item) -> int:
    """Of a test that `make test` leaves out; the longest of them are begun first."""
    long = item.get_closest_marker("long")
    return 0 if long is None else int(long.kwargs.get("minutes", 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line about the servers that are not there, and what was skipped for it."""
    reasons = [str(each.longrepr) for each in terminalreporter.stats.get("skipped", [])]
    missing = [reason.rpartition(SKIPPED)[2] for reason in reasons if SKIPPED in reason]
    if missing:
        names = ", ".join(sorted({name.rstrip("'\")") for name in missing}))
        terminalreporter.write_line(f"{len(missing)} tests skipped, {SKIPPED}{names}")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    """Where tests and the programs that they start keep what they find out about models.

    The processes of one run have it together: an engine is tried for ten seconds of a core.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGCLS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def remembering() -> Iterator[None]:
    """Beam builds and runs a small pipeline in half of the time."""
    if "apache_beam" not in sys.modules:  # nothing that was collected is about it
        yield
        return
    from tests.remembering import remember

    with remember():
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Ctrl-C interrupts: what a shell starts behind a `&` ignores it, and so do its children.

    So does SIGTERM, which would end this process and leave what it has started: Prism, for one.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(autouse=True)
def full_budget() -> None:
    """No test lacks the retries that others have made in its process."""
    for budget in (RETRIES, OTHER_RETRIES):
        budget.give_back(1_000_000)


@pytest.fixture(autouse=True)
def unknown_stores() -> None:
    """No test is told how the stores of others have answered."""
    store_health = sys.modules.get("imgcls_beam.reading.store_health")
    if store_health is not None:
        store_health.STORE_HEALTH.forget()
    missing_buckets = sys.modules.get("imgcls_beam.reading.missing_buckets")
    if missing_buckets is not None:
        missing_buckets.KNOWN_BUCKETS.forget()


@pytest.fixture(autouse=True)
def own_models() -> None:
    """No test is given a model of another, which may live until garbage is collected."""
    protocol = sys.modules.get("imgcls_beam.classifying.protocol")  # not imported for this alone
    if protocol is not None:
        protocol._LOADED.clear()


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """One small random model of each family."""
    # Not above: the process that hands out the tests would import torch and transformers, too.
    from tests.models import FAMILIES, make_model

    root = tmp_path_factory.mktemp("models")
    return {family: make_model(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="session")
def vit_folder(model_folders: dict[str, pathlib.Path]) -> pathlib.Path:
    return model_folders["vit"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Images that take seconds."""
    folder = tmp_path_factory.mktemp("many")
    write_slow(folder, (2000, 1500))
    return folder


@pytest.fixture(scope="session")
def mother() -> Iterator[Mother]:
    """Forks programs, and workers of Beam's."""
    with start_mother() as started:
        yield started


@pytest.fixture
def forked_workers(mother: Mother, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam's worker processes are forked; each would import Beam and torch for five seconds."""
    starting = types.SimpleNamespace(Popen=mother.start_worker)
    service = "apache_beam.runners.portability.local_job_service"
    monkeypatch.setattr(f"{service}.subprocess", starting)
