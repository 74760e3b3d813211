"""Decoding in child processes that can do nothing else.

A child is started with what it needs, locked, and handed one image after the other, small ones for
a page some at a time; pixels come back through memory that both see, what is said of them as JSON.
See docs/adr/0030.

The names are loaded when they are used: a child needs only a few modules of this package.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcls_beam.sandbox.boxed_drawing import draw_all_in_box, draw_in_box
    from imgcls_beam.sandbox.boxed_preparing import box_pool, prepare_image, prepare_in_box
    from imgcls_beam.sandbox.locking import LOCKS
    from imgcls_beam.sandbox.own_box import find_state, start_box

_HOME = {
    **dict.fromkeys(("box_pool", "prepare_image", "prepare_in_box"), "boxed_preparing"),
    **dict.fromkeys(("find_state", "start_box"), "own_box"),
    "LOCKS": "locking",
    **dict.fromkeys(("draw_all_in_box", "draw_in_box"), "boxed_drawing"),
}

__all__ = [
    "LOCKS",
    "box_pool",
    "draw_all_in_box",
    "draw_in_box",
    "find_state",
    "prepare_image",
    "prepare_in_box",
    "start_box",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  PEP 562
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
