"""The program of a decode child. Light: Pillow, numpy and `preparing`.

It waits for a message of one image or several, decodes them, says what became of each, and waits
for the next. It is locked before the first one, so whatever it may ever import is imported before
that.
"""

import contextlib
import functools
import importlib
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Callable

import numpy as np
from PIL import AvifImagePlugin, Image

from imgcls_beam.memory import find_trim, give_back_unused
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import try_decode
from imgcls_beam.preparing.decode_memory import LARGE_BYTES
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.preparing.readers import find_heif
from imgcls_beam.sandbox.asked_work import AskedWork, read_work
from imgcls_beam.sandbox.child_memory import ChildMemory
from imgcls_beam.sandbox.child_work import Done, prepare_apart, tell_no_memory
from imgcls_beam.sandbox.frames import GO, MAX_BYTES, REST, Message, read_frame, write_frame
from imgcls_beam.sandbox.locking import die_with_starter, lock_process

_LATER = (
    *("encodings.latin_1", "encodings.ascii", "encodings.utf_16", "encodings.utf_16_be"),
    *("encodings.utf_16_le", "encodings.cp1252", "encodings.idna", "unicodedata", "zlib"),
    *("PIL.ImageColor", "PIL.ImageChops", "PIL.ImageOps", "PIL.ImageMath", "PIL.ExifTags"),
    *("PIL.features", "PIL.TiffTags", "PIL.ImageSequence", "PIL._webp", "PIL._avif"),
    *("PIL.ImageCms", "numpy.linalg", "fractions", "numbers"),
)
"""What Python, Pillow and numpy import where they first need it."""

_TIMERS = (signal.ITIMER_PROF, signal.ITIMER_REAL)


class _Lane:
    """The way between this process and its starter, for one message at a time."""

    def __init__(self, requests: int, permissions: int) -> None:
        self._requests = requests
        self._held = b""
        self._permissions = permissions

    def read_request(self) -> Message | None:
        return read_frame(self._read)

    def _read(self, length: int) -> bytes:
        if not self._held:
            self._held = os.read(self._requests, MAX_BYTES)
        part, self._held = self._held[:length], self._held[length:]
        return part

    def ask(self, replies: int, message: Message) -> None:
        """Says something that needs a permission, and waits for that; the time stands still."""
        left = [signal.setitimer(each, 0) for each in _TIMERS]
        write_frame(replies, json.dumps(message).encode())
        while (told := os.read(self._permissions, 1)) != GO:
            if told != REST:
                os._exit(0)
            give_back_unused()
        for timer, (seconds, _) in zip(_TIMERS, left, strict=True):
            signal.setitimer(timer, seconds)


def main(argument: str) -> None:
    """Serves until its starter is gone.

    Args:
        argument: an object of JSON: `starter`, its process; `memory_bytes`; the descriptors
            `requests`, `permissions`, `replies` and `memories`, the last two of each slot.
    """
    told = json.loads(argument)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the starter says when to end
    die_with_starter()
    if os.getppid() != told["starter"]:
        return
    warm_up()
    memories = [ChildMemory(each) for each in told["memories"]]
    held = list(lock_process(told["memory_bytes"]))
    replies = told["replies"]
    write_frame(replies[0], json.dumps({"held": held}).encode())
    lane = _Lane(told["requests"], told["permissions"])
    while (request := lane.read_request()) is not None:
        if "slot" not in request:
            give_back_unused()
            continue
        slot = request["slot"]
        _serve(lane, request, replies[slot], memories[slot])


def warm_up() -> None:
    """Imports what decoding may need: once the process is locked it can open no file."""
    for name in _LATER:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    find_trim()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if find_heif():
        heif = importlib.import_module("pillow_heif")
        importlib.import_module("pillow_heif.as_plugin")
        heif.options.DECODE_THREADS = 1
    for name in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM", "WEBP"):
        written = io.BytesIO()
        Image.new("RGB", (16, 16)).save(written, name)
        for data in (written.getvalue(), written.getvalue()[:40]):
            try_decode(data, DecodeOptions())
    for each in FORMATS.values():
        with contextlib.suppress(Exception):
            each.reader(io.BytesIO(b"no image"))
    np.asarray(Image.new("RGB", (2, 2)).resize((3, 3)))


def _serve(lane: _Lane, request: Message, replies: int, memory: ChildMemory) -> None:
    start_s = _read_used_s()
    work = read_work(request["work"])
    memory.grow(request["room"])
    images = memory.read(request["bytes"])
    # Should the starter be gone by then, the kernel ends this process.
    signal.setitimer(signal.ITIMER_PROF, work.max_seconds + 1)
    signal.setitimer(signal.ITIMER_REAL, 2 * work.max_seconds + 5)
    wait = functools.partial(_wait_if_large, lane, replies)
    done = [_prepare(data, work, wait) for data in images]
    arrays = [array for each in done for array in each.arrays]
    needed = sum(each.nbytes for each in arrays)
    if needed > memory.size_bytes:
        lane.ask(replies, {"ask": "room", "bytes": needed})
        memory.grow(needed)
    memory.write(arrays)
    for timer in _TIMERS:
        signal.setitimer(timer, 0)
    took = {"took_s": (_read_used_s() - start_s) / len(done)}
    write_frame(replies, *(json.dumps(each.message | took).encode() for each in done))


def _prepare(data: bytes, work: AskedWork, before_load: Callable[[int], None]) -> Done:
    try:
        return prepare_apart(data, work, before_load)
    except MemoryError:
        return tell_no_memory()


def _read_used_s() -> float:
    """Processor time of all threads. The process's own clock moves in ticks while a timer runs."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _wait_if_large(lane: _Lane, replies: int, size_bytes: int) -> None:
    if size_bytes > LARGE_BYTES:
        lane.ask(replies, {"ask": "turn", "bytes": size_bytes})


if __name__ == "__main__":
    main(sys.argv[1])
