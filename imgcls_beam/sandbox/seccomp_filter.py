"""A seccomp filter: the system calls that decoding needs, and no others.

Each call has its number on x86-64 and on aarch64; None where there it does not exist. A call that
is not in `CALLS` fails with EPERM; one of `_DEADLY` ends the process: no decoder tries it.
"""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterator

from imgcls_beam.sandbox.kernel_calls import PR_SET_SECCOMP, Machine, control_process

CALLS: dict[str, tuple[int | None, int]] = {
    # What it is asked, and what it answers.
    **{"read": (0, 63), "write": (1, 64), "close": (3, 57)},
    # Memory; none that can be run, see `_PROTECTED`.
    **{"munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216), "madvise": (28, 233)},
    # Its own threads: HEIF's decoder has one.
    **{"futex": (202, 98), "sched_yield": (24, 124), "set_robust_list": (273, 99)},
    **{"rseq": (334, 293), "gettid": (186, 178), "getpid": (39, 172), "exit": (60, 93)},
    **{"sched_getaffinity": (204, 123), "restart_syscall": (219, 128)},
    # Time, chance, its own signals and its end.
    **{"clock_gettime": (228, 113), "clock_nanosleep": (230, 115), "nanosleep": (35, 101)},
    **{"gettimeofday": (96, 169), "getrusage": (98, 165), "getrandom": (318, 278)},
    **{"setitimer": (38, 103), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135)},
    **{"rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "exit_group": (231, 94)},
}
_PROTECTED = {"mmap": (9, 222), "mprotect": (10, 226)}
_CLONE, _CLONE3, _TGKILL = (56, 220), (435, 435), (234, 131)
_DEADLY = {
    **{"execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117)},
    **{"process_vm_readv": (310, 270), "process_vm_writev": (311, 271)},
    **{"bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425)},
    **{"init_module": (175, 105), "kexec_load": (246, 104), "keyctl": (250, 219)},
}
_X32 = 0x40000000
_PROT_EXEC, _CLONE_THREAD = 0x4, 0x10000

_LOAD, _IS_EQUAL, _IS_AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of classic BPF, of `linux/bpf_common.h`."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _ARGUMENT_BYTES = 0, 4, 16, 8
"""Where `struct seccomp_data` has what; of an argument the lower half comes first."""
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_DENY = _ERRNO | errno.EPERM
_FILTER_MODE = 2

_Instruction = tuple[int, int, int, int]
"""Code, how many instructions to skip where it holds, and where it does not, operand."""


def allow_decoding_only(machine: Machine) -> None:
    """Puts this process under the filter, for ever.

    Raises:
        OSError: the kernel refuses it.
    """
    program = b"".join(struct.pack("=HBBI", *each) for each in _make_filter(machine))
    code = ctypes.create_string_buffer(program, len(program))
    fields = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    head = ctypes.create_string_buffer(fields, len(fields))
    control_process(PR_SET_SECCOMP, ctypes.c_ulong(_FILTER_MODE), head)


def _make_filter(machine: Machine) -> Iterator[_Instruction]:
    at = machine.column
    yield from _load(_ARCHITECTURE)
    yield _IS_EQUAL, 1, 0, machine.audit
    yield from _answer(_KILL)
    yield from _load(_NUMBER)
    yield _IS_AT_LEAST, 0, 1, _X32
    yield from _answer(_KILL)
    for numbers in CALLS.values():
        yield from _answer_to(numbers[at], _ALLOW)
    for numbers in _DEADLY.values():
        yield from _answer_to(numbers[at], _KILL)
    # Its flags lie in memory, where a filter does not see them; the C library then takes `clone`.
    yield from _answer_to(_CLONE3[at], _ERRNO | errno.ENOSYS)
    for numbers in _PROTECTED.values():
        yield from _judge(numbers[at], 2, _PROT_EXEC, where_set=_DENY, else_=_ALLOW)
    yield from _judge(_CLONE[at], 0, _CLONE_THREAD, where_set=_ALLOW, else_=_DENY)
    yield _IS_EQUAL, 0, 5, _TGKILL[at]  # what `abort` does
    yield from _load(_FIRST_ARGUMENT)
    yield _IS_EQUAL, 0, 3, os.getpid()
    yield from _load(_FIRST_ARGUMENT + 2 * _ARGUMENT_BYTES)
    yield _IS_EQUAL, 0, 1, signal.SIGABRT
    yield from _answer(_ALLOW)
    yield from _answer(_DENY)


def _load(offset: int) -> Iterator[_Instruction]:
    yield _LOAD, 0, 0, offset


def _answer(what: int) -> Iterator[_Instruction]:
    yield _RETURN, 0, 0, what


def _answer_to(number: int | None, what: int) -> Iterator[_Instruction]:
    if number is not None:
        yield _IS_EQUAL, 0, 1, number
        yield from _answer(what)


def _judge(
    number: int, argument: int, bits: int, *, where_set: int, else_: int
) -> Iterator[_Instruction]:
    """The answer to a call by some bits of one of its arguments."""
    yield _IS_EQUAL, 0, 4, number
    yield from _load(_FIRST_ARGUMENT + argument * _ARGUMENT_BYTES)
    yield _HAS_BITS, 0, 1, bits
    yield from _answer(where_set)
    yield from _answer(else_)
