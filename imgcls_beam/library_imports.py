"""Models of transformers without what a classifier does not use: half of what their import takes.

Before its first model transformers imports torch's tensors that lie on several machines and its
compiler, for models that are spread or compiled, and with them sympy; torch imports sympy where it
makes a model without weights. A process of this package's own, which classifies and does nothing
else, does without. In it

- transformers finds torch as in builds that have no `torch.distributed`;
- for some modules there are stand-ins: of the batching of generated text, of torch's rules for
  shapes that are not known yet, and of the compiler while transformers marks functions for it.

A stand-in has the few names that are asked for here. Asked for any other it is the real module.
"""

import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_FACTS = "transformers.utils.import_utils"
_MARKED = ("transformers.modeling_utils", "transformers.masking_utils")
_COMPILER = "torch._dynamo"
_TRACING = f"{_COMPILER}._trace_wrapped_higher_order_op"
_BATCHING = "transformers.generation.continuous_batching"
_BATCHES_HELD = f"{_BATCHING}.cache"
_SHAPES = "torch.fx.experimental.symbolic_shapes"

_Around = Callable[[types.ModuleType], contextlib.AbstractContextManager[None]]


def leave_out_unused() -> None:
    """Has it so in this process, unless transformers is imported already. Imports nothing."""
    is_there = any(isinstance(each, _Finder) for each in sys.meta_path)
    if "transformers" not in sys.modules and not is_there:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """What an import asks first of all; None lets it ask others."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module that is not to be imported as it is."""
        if name in (_BATCHING, _SHAPES) or (name == _BATCHES_HELD and _is_stand_in(_BATCHING)):
            return _find_stand_in(name, path)
        if name.startswith(f"{_COMPILER}.") and _is_stand_in(_COMPILER):
            return _find_beside(_load_real(_COMPILER), name)
        if (around := _AROUND.get(name)) is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None:
            loader: Any = spec.loader
            loader.exec_module = functools.partial(_execute, loader.exec_module, around)
        return spec


def _execute(
    execute: Callable[[types.ModuleType], None], around: _Around, module: types.ModuleType
) -> None:
    with around(module):
        execute(module)


@contextlib.contextmanager
def _hide_distributed(facts: types.ModuleType) -> Iterator[None]:
    yield
    if hasattr(facts, "is_torch_distributed_available"):
        facts.__dict__["is_torch_distributed_available"] = lambda: False


@contextlib.contextmanager
def _unmark(_: types.ModuleType) -> Iterator[None]:
    """Marks for the compiler do nothing meanwhile, unless it is imported already."""
    names = () if _COMPILER in sys.modules else (_COMPILER, _TRACING)
    for name in names:
        spec = importlib.machinery.ModuleSpec(name, _StandIn(), is_package=name == _COMPILER)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        _StandIn().exec_module(sys.modules[name])
    try:
        yield
    finally:
        for name in filter(_is_stand_in, names):
            del sys.modules[name]


_AROUND: dict[str, _Around] = {_FACTS: _hide_distributed, **dict.fromkeys(_MARKED, _unmark)}


class _StandIn(importlib.abc.Loader):
    """Makes a module that has some names, and is the real one where others are asked for."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """An empty one."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Fills it."""
        name = module.__name__
        module.__dict__.update(_NAMES[name], __getattr__=functools.partial(_ask_real, name))


def _find_stand_in(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    real = importlib.machinery.PathFinder.find_spec(name, path)
    if real is None:
        return None
    spec = importlib.machinery.ModuleSpec(name, _StandIn(), origin=real.origin)
    spec.submodule_search_locations = real.submodule_search_locations
    return spec


def _ask_real(name: str, asked: str) -> Any:  # noqa: ANN401
    if asked.startswith("__"):  # an import asks whether a module is a package
        raise AttributeError(asked)
    return getattr(_load_real(name), asked)


_LOADING = threading.RLock()


def _load_real(name: str) -> types.ModuleType:
    """The real module, which takes the place of its stand-in."""
    with _LOADING:
        if name in sys.modules and not _is_stand_in(name):
            return sys.modules[name]
        parent, _, child = name.rpartition(".")
        package = importlib.import_module(parent)
        spec = importlib.machinery.PathFinder.find_spec(name, package.__path__)
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(name, name=name)
        for each in [each for each in sys.modules if each.startswith(f"{name}.")]:
            if _is_stand_in(each):
                del sys.modules[each]
        real = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(real)
        setattr(package, child, real)
        return real


def _find_beside(package: types.ModuleType, name: str) -> importlib.machinery.ModuleSpec | None:
    """The spec of a module of a package that was a stand-in when the module was asked for."""
    if name in sys.modules:
        return importlib.machinery.ModuleSpec(name, _Loaded())
    return importlib.machinery.PathFinder.find_spec(name, package.__path__)


class _Loaded(importlib.abc.Loader):
    """Gives back what was imported meanwhile."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """That."""
        return sys.modules[spec.name]

    def exec_module(self, module: types.ModuleType) -> None:
        """Does nothing more."""


def _is_stand_in(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return isinstance(getattr(spec, "loader", None), _StandIn)


class _Unused:
    """Stands for a class of which there are no objects here."""


def _mark_nothing(marked: Any = None, *_: object, **__: object) -> Any:  # noqa: ANN401
    return _mark_nothing if marked is None else marked


def _transform() -> Any:  # noqa: ANN401
    """Asked for by masks that a text model draws by a function."""
    return importlib.import_module(_TRACING).TransformGetItemToIndex()


def _decide(name: str, value: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401
    """A rule for shapes: of a plain number or truth it says what that is."""
    if type(value) not in (bool, int):
        return getattr(_load_real(_SHAPES), name)(value, *more, **named)
    return False if name == "is_nested_int" else value


_BATCHES = {"PagedAttentionCache": _Unused, "ContinuousMixin": _Unused}
_RULES = ("expect_true", "guard_or_false", "guard_or_true", "guard_size_oblivious", "is_nested_int")
_NAMES: dict[str, Mapping[str, Any]] = {
    _BATCHING: _BATCHES,
    _BATCHES_HELD: _BATCHES,
    _SHAPES: {name: functools.partial(_decide, name) for name in _RULES},
    _COMPILER: dict.fromkeys(
        ("allow_in_graph", "assume_constant_result", "disable"), _mark_nothing
    ),
    _TRACING: {"TransformGetItemToIndex": _transform},
}
