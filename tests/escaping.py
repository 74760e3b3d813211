"""Ways out of a decode child, tried from inside the real, locked program.

An image whose first line is the name of a way has it tried; what came of it is the message of the
image's failure: `denied: EPERM`, or `escaped: …`. A way that the kernel kills for is a crash.
The program may be told to close some locks alone, which shows what each of them holds by itself.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import pathlib
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import PIL

from imgcls_beam.errors import FailureCode
from imgcls_beam.sandbox import decode_child, locking
from imgcls_beam.sandbox.asked_work import AskedWork
from imgcls_beam.sandbox.child_work import Done

NOTHING = "nothing"
"""What was looked for, and is not there."""
_NOT_LOADED = next(pathlib.Path(PIL.__file__).parent.glob("_imagingmorph*.so"))
"""A library that no decoder needs."""
_LIBRARY = ctypes.CDLL(None, use_errno=True)


def make_program(locks: Sequence[str]) -> str:
    """The program, with these locks."""
    return (
        "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
        f"from tests.escaping import main; main(sys.argv[1], {tuple(locks)})"
    )


def _call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def map_runnable() -> object:
    """Memory that can be written and run: where foreign code would go."""
    function = _LIBRARY.mmap
    function.restype = ctypes.c_long
    return _call(function(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0)))


def make_runnable() -> object:
    buffer = ctypes.create_string_buffer(8192)
    page = ctypes.c_void_p((ctypes.addressof(buffer) + 4095) & ~4095)
    return _call(_LIBRARY.mprotect(page, ctypes.c_size_t(4096), 7))


def find_foreign_descriptors() -> object:
    """What is open beside pipes, memory without a name, and nothing at all."""
    found = []
    for each in range(256):
        try:
            facts = os.fstat(each)
        except OSError as error:
            if error.errno == errno.EPERM:  # it may not even ask
                return NOTHING
            continue
        is_nothing = stat.S_ISCHR(facts.st_mode) and facts.st_rdev == os.makedev(1, 3)
        if not (stat.S_ISFIFO(facts.st_mode) or is_nothing or facts.st_nlink == 0):
            found.append(each)
    return found or NOTHING


def grow_shared() -> object:
    """More of the memory that is shared, which is nobody's limit."""
    for each in range(3, 64):
        try:
            os.ftruncate(each, 1 << 34)
        except OSError:
            continue
        return each
    raise PermissionError(errno.EPERM, "")


def read_secrets() -> object:
    """What stands in its environment but paths of libraries, threads, and how memory is kept."""
    usual = {"LD_LIBRARY_PATH", "LC_CTYPE", "OMP_NUM_THREADS"}
    usual |= {"OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    usual |= {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}
    return sorted(set(os.environ) - usual) or NOTHING


def find_start_up() -> object:
    """What ran before the program: `site`, and through it what anybody has put beside a module."""
    flags = sys.flags
    return NOTHING if flags.isolated and flags.no_site and "site" not in sys.modules else flags


WAYS: dict[str, tuple[str, Callable[[], object]]] = {
    # The lock that has to hold, and what is tried.
    "open": ("landlock", lambda: pathlib.Path("/etc/passwd").read_bytes()),
    "write": ("landlock", lambda: pathlib.Path("/tmp/imgcls-escaped").write_bytes(b"x")),
    "list": ("landlock", lambda: os.listdir("/")),
    "look": ("seccomp", lambda: os.stat("/etc/passwd")),
    "remove": ("landlock", lambda: os.rmdir("/tmp")),
    "connect": ("seccomp", lambda: socket.create_connection(("127.0.0.1", 9), 1)),
    "local socket": ("seccomp", lambda: socket.socket(socket.AF_UNIX)),
    "datagram": ("seccomp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "fork": ("seccomp", os.fork),
    "start": ("seccomp", lambda: subprocess.Popen(["/bin/true"])),
    "run": ("seccomp", lambda: os.execv("/bin/true", ["true"])),
    "trace": ("seccomp", lambda: _call(_LIBRARY.ptrace(16, os.getppid(), None, None))),
    "kill": ("seccomp", lambda: os.kill(os.getppid(), signal.SIGTERM)),
    "signal": ("seccomp", lambda: os.kill(os.getppid(), 0)),
    "signal all": ("seccomp", lambda: os.kill(-1, 0)),
    "more memory": ("limits", lambda: mmap.mmap(-1, 1 << 34)),
    "memory to run": ("seccomp", map_runnable),
    "memory made to run": ("seccomp", make_runnable),
    "own process": ("landlock", lambda: pathlib.Path("/proc/self/maps").read_bytes()),
    "other process": ("landlock", lambda: pathlib.Path("/proc/1/environ").read_bytes()),
    "environment": ("", read_secrets),
    "code at its start": ("", find_start_up),
    "shared files": ("", find_foreign_descriptors),
    "shared memory": ("limits", grow_shared),
    "new descriptor": ("limits", lambda: os.dup(0)),
    "control a descriptor": ("seccomp", lambda: fcntl.fcntl(0, fcntl.F_SETFD, 0)),
    "larger limits": ("seccomp", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))),
    "another user": ("seccomp", lambda: os.setuid(0)),
    "another root": ("seccomp", lambda: os.chroot("/")),
    "other names": ("seccomp", lambda: _call(_LIBRARY.unshare(0x10000000))),
    "another library": ("landlock", lambda: ctypes.CDLL(str(_NOT_LOADED))),
}


def list_ways(lock: str) -> list[str]:
    """The ways that a lock closes."""
    return [way for way, (needed, _) in WAYS.items() if needed == lock]


def main(argument: str, locks: Sequence[str]) -> None:
    """See `decode_child.main`; closes no other locks."""
    locking.LOCKS = tuple(locks)  # type: ignore[assignment]

    def prepare(data: bytes, work: AskedWork, before_load: Callable[[int], object]) -> Done:
        message = _try(data.decode().partition("\n")[0])
        told: dict[str, Any] = {"code": FailureCode.CORRUPT, "message": message, "retryable": False}
        return Done({"error": told}, [])

    decode_child.prepare_apart = prepare
    decode_child.main(argument)


def _try(way: str) -> str:
    try:
        got = WAYS[way][1]()
    except MemoryError:
        return "denied: no memory"
    except ValueError:  # what Python makes of a limit that may not be raised
        return "denied: EPERM"
    except OSError as error:
        return f"denied: {errno.errorcode.get(error.errno or 0, type(error).__name__)}"
    return f"denied: {got}" if got is NOTHING else f"escaped: {type(got).__name__}"
