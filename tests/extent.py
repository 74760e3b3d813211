"""How much is tested of what has no end: mutants, moments of a kill, runs under faults.

IMGCLS_TEST_EVERYTHING   1: all of it, as a release does; else the share that fits into an hour
"""

import os
from typing import TypeVar

_T = TypeVar("_T")


def choose(everything: _T, share: _T) -> _T:
    """The first where everything is asked for, by the environment."""
    return everything if os.environ.get("IMGCLS_TEST_EVERYTHING") == "1" else share
