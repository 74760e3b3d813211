"""Landlock: from now on this process opens no file, by no path, and no connection.

What a kernel does not know it is not asked for: files since version 1 of its interface, truncation
since 3, TCP since 4, devices since 5, signals and abstract sockets of others since 6.
"""

import ctypes

from imgcls_beam.sandbox.kernel_calls import call_system

_CREATE, _RESTRICT = 444, 446
"""The same on every architecture."""
_ASK_VERSION = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many kinds of access to files each version of the interface knows."""
_TCP_RIGHTS, _SCOPES = 0b11, 0b11


def find_version() -> int:
    """The version of the kernel's interface; 0 where it has none, or where it is switched off."""
    try:
        return call_system(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    except OSError:
        return 0


def deny_files(version: int) -> None:
    """Takes every right to files and TCP, for ever.

    Args:
        version: what `find_version` gave; at least 1.

    Raises:
        OSError: the kernel refuses it.
    """
    files = max(count for since, count in _FILE_RIGHTS.items() if version >= since)
    tcp = _TCP_RIGHTS if version >= 4 else 0
    scopes = _SCOPES if version >= 6 else 0
    rules = (ctypes.c_uint64 * 3)((1 << files) - 1, tcp, scopes)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = call_system(_CREATE, rules, ctypes.c_size_t(size), ctypes.c_uint32(0))
    call_system(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
