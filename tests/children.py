"""Servers that end with the tests that started them, however those end.

No fixture is torn down in a process that is killed. So Linux is asked to kill the server once its
parent is gone; elsewhere the server is started as it is.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
"""From `linux/prctl.h`."""


def start_server(command: Sequence[str], **how: Any) -> "subprocess.Popen[Any]":
    """As `subprocess.Popen`, in a process that becomes the server: its number stays.

    Linux takes the thread that calls this for the parent, so it has to be one that lives on.
    """
    becomes = [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid())]
    return subprocess.Popen([*becomes, *command], **how)


def _become(parent: int, command: Sequence[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before Linux was asked
            return
    os.execvp(command[0], [*command])


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
