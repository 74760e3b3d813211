"""What lies round a job, for `doctor`: packages, processor, runner, credentials, disks, the hub.

Each check gives lines, and raises the problem that it finds, which says what to do.
"""

import argparse
import contextlib
import importlib.metadata
import os
import pathlib
import platform
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator

from imgcls_beam.cache import find_cache
from imgcls_beam.errors import ConfigError, ModelError

from .engine_checks import check_engine
from .preflight import check_cuda, is_folder
from .runners import DEFAULT_RUNNER

_PACKAGE = "imgcls_beam"
_ANSWER_S = 5.0
_LITTLE_GB = 1.0
_AZURE_STRING = "AZURE_STORAGE_CONNECTION_STRING"
_AZURE_LOGINS = (
    ("AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_TENANT_ID"),
    ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"),
    ("AZURE_CLIENT_ID", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_TENANT_ID"),
    ("AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID"),
    ("IDENTITY_ENDPOINT",),
    ("MSI_ENDPOINT",),
)
"""Variables that go together: adlfs reads the first, azure-identity the others.

The last two are those of a managed identity; that of a virtual machine is found by a request only.
"""
_AZURE_FILES = ("msal_token_cache.json", "service_principal_entries.json")
"""What `az login` leaves."""


def check_packages(asked: argparse.Namespace) -> Iterator[str]:
    """Python, the packages that decide over scores, and whether all that is declared fits.

    Raises:
        ConfigError: a package is absent, too old or too new, or does not fit another.
    """
    from imgcls_beam.library_versions import find_versions

    yield f"Python {platform.python_version()}"
    yield " · ".join(f"{name} {version}" for name, version in find_versions().items())
    problems = list(_find_misfits())
    if problems:
        name, problem = problems[0]
        raise ConfigError("package", name, problem)


def _find_misfits() -> Iterator[tuple[str, str]]:
    from packaging.requirements import Requirement

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for text in importlib.metadata.requires(_PACKAGE) or ():
            need = Requirement(text)
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            advice = f"pip install '{need.name}{need.specifier}'"
            try:
                found = importlib.metadata.version(need.name)
            except importlib.metadata.PackageNotFoundError:
                yield need.name, f"it is not installed; {advice}"
            else:
                if not need.specifier.contains(found, prereleases=True):
                    yield f"{need.name} {found}", f"{need.specifier} is needed; {advice}"
    try:
        import torchvision  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: F401
    except ModuleNotFoundError:
        return
    except Exception as error:  # noqa: BLE001  whatever a library of another build raises
        advice = "install torch and torchvision from one index, or remove torchvision"
        yield "torchvision", f"it does not fit torch ({type(error).__name__}); {advice}"


def check_machine(asked: argparse.Namespace) -> Iterator[str]:
    """Cores, those that a model uses, and the device.

    Raises:
        ConfigError: a device is asked for that is not there.
    """
    from imgcls_beam.classifying.cpu import count_model_cores, has_bfloat16
    from imgcls_beam.cores import count_cores

    if asked.model.device == "cuda":
        check_cuda()
    threads = asked.model.threads or count_model_cores()
    half = "bfloat16 in hardware" if has_bfloat16() else "no bfloat16 in hardware"
    yield f"{count_cores()} cores, {threads} for the model, {half}; {_name_device()}"


def check_sandbox(asked: argparse.Namespace) -> Iterator[str]:
    """Where images are decoded, and what the processes that do it cannot do.

    Raises:
        ConfigError: a sandbox is required that this machine does not have.
    """
    from imgcls_beam.sandbox import LOCKS, find_state

    state = find_state(asked.decode)
    if state.where == "worker":
        yield f"images are decoded in the worker's own process: {state.why}"
        return
    lacking = ", ".join(each for each in LOCKS if each not in state.locks)
    yield "images are decoded in processes that can do nothing else"
    yield f"what holds: {', '.join(state.locks)}" + (f"; missing: {lacking}" if lacking else "")


def _name_device() -> str:
    try:
        import torch
    except ModuleNotFoundError:
        return "torch is not installed, which a launcher does without"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"


def check_runner(asked: argparse.Namespace) -> Iterator[str]:
    """The runner that is asked for, and what it needs; else that of a job on this machine.

    Raises:
        ConfigError: there is no such runner, or what it needs is not there.
    """
    if asked.beam is not None:
        yield from check_engine(asked.beam)
        return
    yield f"{DEFAULT_RUNNER}, which needs no network; --runner names another one"
    if shutil.which("prism") is None:
        yield (
            "in pipelines of your own DirectRunner may try to download Prism: "
            f"give --runner={DEFAULT_RUNNER} where there is no network"
        )


def check_credentials(asked: argparse.Namespace) -> Iterator[str]:
    """Which there are; none is shown, and no service is asked."""
    from huggingface_hub import get_token

    found = {
        "hub": (bool(get_token()), "HF_TOKEN; public models need none"),
        "s3://": (_has_aws(), "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        "gs://": (_has_google(), "gcloud auth application-default login"),
        "az://": (_has_azure(), f"{_AZURE_STRING}, or az login"),
    }
    for place, (is_there, advice) in found.items():
        yield f"{place}: {'found' if is_there else f'none ({advice})'}"
    if found["az://"][0] and not _is_set(_AZURE_STRING, "AZURE_STORAGE_ACCOUNT_NAME"):
        yield "az://: AZURE_STORAGE_ACCOUNT_NAME is not set; name the account in the URL"


def _has_aws() -> bool:
    files = (_find_home(".aws", name) for name in ("credentials", "config"))
    return _is_set("AWS_ACCESS_KEY_ID", "AWS_PROFILE") or any(path.exists() for path in files)


def _has_google() -> bool:
    config = pathlib.Path(os.environ.get("CLOUDSDK_CONFIG") or _find_home(".config", "gcloud"))
    login = config / "application_default_credentials.json"
    return _is_set("GOOGLE_APPLICATION_CREDENTIALS") or login.exists()


def _has_azure() -> bool:
    """Whether there is what adlfs asks with: a string, key, SAS, service principal or login."""
    config = pathlib.Path(os.environ.get("AZURE_CONFIG_DIR") or _find_home(".azure"))
    return (
        _is_set(_AZURE_STRING, "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN")
        or any(all(map(os.environ.get, names)) for names in _AZURE_LOGINS)
        or any((config / name).exists() for name in _AZURE_FILES)
    )


def _is_set(*names: str) -> bool:
    return any(map(os.environ.get, names))


def _find_home(*parts: str) -> pathlib.Path:
    return pathlib.Path("~").expanduser().joinpath(*parts)


def check_disk(asked: argparse.Namespace) -> Iterator[str]:
    """Free space where models are kept, where work lies, and where rows go.

    Raises:
        ModelError: there is next to none.
    """
    places = {"cache": str(find_cache()), "work": tempfile.gettempdir()}
    output = None if asked.output is None else asked.output.output
    if output is not None and "://" not in output:
        places["output"] = output
    little = []
    for name, place in places.items():
        free_gb = shutil.disk_usage(_find_existing(place)).free / 1e9
        yield f"{name}: {free_gb:,.1f} GB free at {place}"
        little += [place] if free_gb < _LITTLE_GB else []
    if little:
        raise ModelError(f"less than {_LITTLE_GB:.0f} GB is free at {little[0]}; make room there")


def _find_existing(place: str) -> pathlib.Path:
    path = pathlib.Path(place).expanduser().absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def check_hub(asked: argparse.Namespace) -> Iterator[str]:
    """Whether the hub answers, where the model is to come from it.

    Raises:
        ModelError: it does not.
    """
    from huggingface_hub import constants

    endpoint = constants.ENDPOINT
    if constants.is_offline_mode():
        yield f"{endpoint}; offline (HF_HUB_OFFLINE): its local cache answers"
    elif is_folder(asked.model.model):
        yield f"{endpoint} is not asked: the model lies in a folder"
    elif _answers(endpoint):
        yield f"{endpoint} answers"
    else:
        advice = "see the network and its proxy (HTTPS_PROXY), or give --model a folder"
        raise ModelError(f"{endpoint} cannot be reached; {advice}; HF_HUB_OFFLINE=1 asks its cache")


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S):
            return True
    except urllib.error.HTTPError:
        return True  # an answer, of whatever kind
    except (OSError, ValueError):
        return False
