"""The ways in which people write down a model of the hub, read as one."""

import dataclasses
import os
import re
import urllib.parse

from imgcls_beam.checks import scheme_of
from imgcls_beam.errors import ConfigError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_PREFIX = re.compile(r"hf[-_]hub:")
"""As timm spells models of the hub."""

_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_OTHER_PAGES = ("datasets", "spaces", "docs", "collections", "papers", "blog", "models", "tasks")
_AT_REVISION = ("tree", "blob", "resolve", "raw", "commit")


@dataclasses.dataclass(frozen=True, slots=True)
class HubModel:
    """A model of the hub, as it was asked for.

    Attributes:
        model: `owner/name`, or a name alone.
        revision: branch, tag or commit; None for its main branch.
    """

    model: str
    revision: str | None


def read_spelling(model: str, revision: str | None) -> HubModel | None:
    """Reads a hub id, `owner/name@revision`, or the address of a model's page.

    Args:
        model: no folder of this machine.
        revision: as it was given besides.

    Returns:
        None for the URL of a store.

    Raises:
        ConfigError: it is none of these, or names another revision than was given.
    """
    named = _PREFIX.sub("", model.strip(" "))
    if page := _read_page(model, named):
        return _join(model, page.model, page.revision, revision)
    if "://" in named:
        return None
    name, at, asked = named.rstrip("/").partition("@")
    if not _HUB_ID.fullmatch(name) or (at and not asked):
        raise ConfigError("model", model, _explain_no_model(model))
    return _join(model, name, asked or None, revision)


def _join(given: str, model: str, asked: str | None, revision: str | None) -> HubModel:
    if asked and revision and asked != revision:
        raise ConfigError(
            "revision", revision, f"model={given!r} asks for {asked}; give one of them"
        )
    return HubModel(model, asked or revision)


def _read_page(given: str, model: str) -> HubModel | None:
    """A model by the address of its page; None for what is no such address."""
    host, _, path = model.partition("://")[2 if "://" in model else 0].partition("/")
    if host.lower() not in _list_hosts() or (
        "://" in model and scheme_of(model) not in ("http", "https")
    ):
        return None
    parts = [urllib.parse.unquote(each) for each in re.split(r"[?#]", path)[0].split("/") if each]
    name = "/".join(parts[:2]).removesuffix(".git")
    if len(parts) < 2 or parts[0] in _OTHER_PAGES or not _HUB_ID.fullmatch(name):
        raise ConfigError("model", given, "this is no model's page; write owner/name")
    if len(parts) == 2:
        return HubModel(name, None)
    if parts[2] not in _AT_REVISION or len(parts) < 4:
        raise ConfigError("model", given, f"this is another page of a model; write {name}")
    if len(parts) > 4 and parts[2] == "tree":
        problem = "a folder inside a hub model is not read; download it, and give the folder"
        raise ConfigError("model", given, problem)
    return HubModel(name, parts[3])


def _list_hosts() -> tuple[str, ...]:
    own = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc
    return (*_HOSTS, own) if own else _HOSTS


def _explain_no_model(model: str) -> str:
    problem = "there is no such folder, and a hub model is named owner/name or owner/name@revision"
    if os.path.isfile(os.path.expanduser(model)):
        return f"this is a file; give the folder that holds it, {os.path.dirname(model) or '.'}"
    return problem
