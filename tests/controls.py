"""What tests ask of a store's server beside its protocol, below the path `/-/`."""

import base64
import contextlib
import json
import random
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

Fill = Callable[[str, dict[str, bytes], dict[str, Any]], None]

STATUSES = {"429": 429, "500": 500, "503": 503, "403": 403, "404": 404}
"""Answers that are given without carrying a request out."""

ON_THE_WIRE = ("reset", "short", "stall", "stall_within", "drip")
"""What goes wrong with the connection; the request is carried out, but for `stall`."""

LESS = "less"
"""The first bytes of a range in place of all of it, as a server may give (RFC 9110, 14.2)."""
_LESS_BYTES = 10

_STALL_S = 300.0
_MEETING_S = 60.0
_DRIP_S = 0.05


class Controls:
    """Remembers what was asked; spoils as many answers as it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[str] = []
        self._faults: list[tuple[str, str]] = []
        self._for_ever: list[tuple[str, str]] = []
        self._share, self._hows, self._pattern = 0.0, [""], ""
        self._chance = random.Random(0)
        self._meeting: tuple[str, threading.Barrier] | None = None
        self._met = 0

    def note(self, asked: str) -> str:
        """Remembers a request.

        Returns:
            `less`: see `LESS`; `lose`: carry it out and answer 503; `damage`: give another last
            byte; one of `STATUSES` or of `ON_THE_WIRE`; else nothing.
        """
        self._meet(asked)
        with self._lock:
            self._asked.append(asked)
            for fault in self._faults:
                if re.search(fault[1], asked):
                    self._faults.remove(fault)
                    return fault[0]
            for how, pattern in self._for_ever:
                if re.search(pattern, asked):
                    return how
            if self._chance.random() < self._share and re.search(self._pattern, asked):
                return self._chance.choice(self._hows)
        return ""

    def _meet(self, asked: str) -> None:
        """Lets a request go on when as many as were told are in flight."""
        with self._lock:
            pattern, barrier = self._meeting or ("", None)
        if barrier is not None and re.search(pattern, asked):
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(_MEETING_S)
                with self._lock:
                    self._met += 1

    def answer(self, path: str, body: bytes, fill: Fill) -> bytes:
        """`/-/asked` gives the requests since; `/-/spoil` takes patterns, one answer each.

        `/-/fill` takes a bucket and objects: one request in place of ten thousand. `/-/disturb`
        spoils a share of all requests by chance, until it is told another share. `/-/meet` takes a
        pattern and a number: such requests are answered when so many are in flight. `/-/met` ends
        that, and gives how many were.
        """
        given = json.loads(body or b"{}")
        if path == "/-/spoil":
            with self._lock:
                kept = self._for_ever if given.get("for_ever") else self._faults
                kept += [(given["how"], pattern) for pattern in given["patterns"]]
        elif path == "/-/disturb":
            with self._lock:
                self._share, self._hows, self._pattern = (
                    given["share"],
                    given["hows"],
                    given["pattern"],
                )
                self._chance = random.Random(given["seed"])
        elif path == "/-/meet":
            with self._lock:
                self._meeting = given["pattern"], threading.Barrier(given["number"])
                self._met = 0
        elif path == "/-/met":
            with self._lock:
                self._meeting = None
                return json.dumps(self._met).encode()
        elif path == "/-/fill":
            objects = {name: base64.b64decode(text) for name, text in given["objects"].items()}
            fill(given["bucket"], objects, given["more"])
        elif path == "/-/asked":
            with self._lock:
                asked, self._asked = self._asked, []
                self._faults, self._for_ever = [], []
            return json.dumps(asked).encode()
        return b"{}"


def lessen(asked: str) -> str:
    """The range that is given in place of the one that was asked for."""
    start = int(asked.removeprefix("bytes=").partition("-")[0])
    return f"bytes={start}-{start + _LESS_BYTES - 1}"


def damage(answer: bytes) -> bytes:
    """Another last byte."""
    return answer[:-1] + bytes([answer[-1] ^ 1]) if answer else answer


def spoil_on_the_wire(connection: socket.socket, how: str, answer: bytes) -> None:
    """Gives an answer badly, one of `ON_THE_WIRE`, and closes the connection."""
    head, mark, body = answer.partition(b"\r\n\r\n")
    with contextlib.suppress(OSError):  # the client has gone
        if how == "reset":  # no linger: RST in place of FIN
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "stall":
            _wait_for_the_end(connection)
        else:
            connection.sendall(head + mark + body[: len(body) // 2])
        if how == "stall_within":
            _wait_for_the_end(connection)
        elif how == "drip":
            for byte in body[len(body) // 2 :]:
                connection.sendall(bytes([byte]))
                time.sleep(_DRIP_S)
    with contextlib.suppress(OSError):
        if how != "reset":
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def _wait_for_the_end(connection: socket.socket) -> None:
    """Until the client closes the connection."""
    end = time.monotonic() + _STALL_S
    while time.monotonic() < end:
        readable, _, _ = select.select([connection], [], [], 1.0)
        if readable and not connection.recv(1 << 16):
            return
