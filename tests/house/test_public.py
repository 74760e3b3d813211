"""What others import, and what travels."""

import builtins
import contextlib
import importlib
import inspect
import pathlib
import pickle
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

import imgcls_beam
from imgcls_beam import errors, metrics
from imgcls_beam.classifying import ClassifierCard, ClassifierSpec
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import Stage
from imgcls_beam.options import InputOptions
from imgcls_beam.scoring import ModelSource
from imgcls_beam.transforms import ClassifyImages, ListImages, PrepareImages, ReadImages

ROOT = pathlib.Path(__file__).parents[2]
ALIASES = {"FunctionToApply", "Outcome"}
FOREIGN: set[str] = set()
"""Errors of other libraries that docstrings name."""
SOURCE = ModelSource(
    "google/vit-base-patch16-224", "0" * 40, "google/vit-base-patch16-224", "0" * 40
)


def test_all_names_are_there_and_come_from_where_they_are_said_to() -> None:
    assert sorted(imgcls_beam.__all__) == imgcls_beam.__all__
    for name in imgcls_beam.__all__:
        value = getattr(imgcls_beam, name)
        assert name in ALIASES or value.__name__ == name
    assert set(imgcls_beam.__all__) <= set(dir(imgcls_beam))


def test_what_callers_catch_and_what_the_pages_name_is_public() -> None:
    """Every error of the tree; every transform that a page names."""
    tree = {name for name, kind in vars(errors).items() if _is_error(kind)}
    pages = (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    named = {word for page in pages for word in re.findall(r"`(\w+Images)\b", page.read_text())}
    assert {"ImgclsError", "StoreError"} < tree
    assert "SpreadImages" in named
    private = {"SelectImages"}  # of the programs; docs/architecture.md names it
    assert (tree | named) - private <= set(imgcls_beam.__all__)


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, errors.ImgclsError)


def find_ours(annotation: Any) -> Iterator[type]:
    """The classes of this package in an annotation, however deep inside unions and generics."""
    for part in typing.get_args(annotation):
        yield from find_ours(part)
    if isinstance(annotation, list | tuple):  # the arguments of a Callable
        for part in annotation:
            yield from find_ours(part)
    if isinstance(annotation, type) and annotation.__module__.startswith("imgcls_beam"):
        yield annotation


def list_members(public: type) -> Iterator[object]:
    """What somebody may call or read: the class, its own methods and properties."""
    yield public
    for name, member in vars(public).items():
        if (
            name == "__init__" and not getattr(public, "_is_protocol", False)
        ) or not name.startswith("_"):
            member = member.fget if isinstance(member, property) else member
            member = getattr(member, "__func__", member)
            if callable(member):
                yield member


def list_used(public: type) -> set[str]:
    """The names of this package that a public class takes, gives or raises."""
    used = set()
    for member in list_members(public):
        with contextlib.suppress(NameError, TypeError):  # what only a type checker imports
            for annotation in typing.get_type_hints(member).values():
                used |= {each.__name__ for each in find_ours(annotation)}
        used |= set(re.findall(r"^ +(\w+Error): ", inspect.getdoc(member) or "", re.MULTILINE))
    return {name for name in used if not (name.startswith("_") or hasattr(builtins, name))}


@pytest.mark.parametrize("name", [n for n in imgcls_beam.__all__ if n not in ALIASES])
def test_what_a_public_name_takes_gives_or_raises_is_public_too(name: str) -> None:
    used = list_used(getattr(imgcls_beam, name))
    assert used <= {*imgcls_beam.__all__, *FOREIGN}


@pytest.mark.parametrize("name", [n for n in imgcls_beam.__all__ if n not in ALIASES])
def test_a_public_name_is_documented(name: str) -> None:
    public = getattr(imgcls_beam, name)
    inherited = {base.__doc__ for base in public.__mro__[1:]}
    assert public.__doc__ not in {None, *inherited}
    for member in list_members(public):
        assert inspect.getdoc(member), member


def test_the_walk_finds_what_is_not_public() -> None:
    assert list_used(Walked) == {"ImageRef", "ClassifierCard", "ModelError", "ClassifierSpec"}


class Walked:
    def __init__(self, refs: "Sequence[ImageRef | None]") -> None:
        """Takes.

        Raises:
            ModelError: always.
        """

    def give(self) -> "Callable[[ClassifierSpec], dict[str, ClassifierCard]]":
        """Gives."""
        raise NotImplementedError


def test_a_name_that_is_not_there_is_said_so() -> None:
    with pytest.raises(AttributeError, match="ClassifyImage"):
        importlib.import_module("imgcls_beam").ClassifyImage  # noqa: B018


@pytest.mark.parametrize(
    "transform",
    [
        ListImages(InputOptions(("gs://bucket/photos/**",))),
        ReadImages(),
        PrepareImages(SOURCE),
        ClassifyImages(source=SOURCE),
    ],
)
def test_transforms_are_small_where_they_travel(transform: object) -> None:
    assert len(pickle.dumps(transform)) < 2_500


def test_counters_are_named_by_stage_and_outcome() -> None:
    stages = "|".join(Stage)
    names = [
        value.metric_name.name for value in vars(metrics).values() if hasattr(value, "metric_name")
    ]
    assert len(names) >= 10
    outcomes = "images|duplicates|passed_over|ok|error|bytes|attempts|us|rows"
    for name in names:
        assert re.fullmatch(rf"({stages})_({outcomes})", name), name


def test_pipelines_define_nothing_that_would_be_pickled() -> None:
    for path in (ROOT / "pipelines").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*class |\blambda\b[^.]*:|DoFn\)", text, re.MULTILINE), path


def test_broad_excepts_stand_where_foreign_bytes_models_and_objects_are_met() -> None:
    """Ruff's BLE001 finds the ones that do not raise again; each exemption has its reason."""
    exempt = {
        str(path.relative_to(ROOT / "imgcls_beam"))
        for path in (ROOT / "imgcls_beam").rglob("*.py")
        if "noqa: BLE001" in path.read_text(encoding="utf-8")
    }
    assert exempt == {
        *("preparing/orientation.py", "preparing/reducing.py"),
        *("asked_images.py", "parity.py", "attributes.py"),
        "classifying/deciding.py",  # a converter of foreign models
        "classifying/trial.py",  # and a compiler of what it made
        "classifying/compiling.py",  # and torch's, which may lack a part of it
        "time_limits.py",  # whatever a call raises is raised where it is awaited
        # What a thread of its own is told is raised in the one that waits for it.
        *("sandbox/box.py", "sandbox/starting.py"),
    }
