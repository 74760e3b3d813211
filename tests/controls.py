"""What tests ask of a store's server beside its protocol, below the path `/-/`."""

import base64
import json
import re
import threading
from collections.abc import Callable
from typing import Any

Fill = Callable[[str, dict[str, bytes], dict[str, Any]], None]


class Controls:
    """Remembers what was asked; spoils as many answers as it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[str] = []
        self._faults: list[tuple[str, str]] = []

    def note(self, asked: str) -> str:
        """Remembers a request.

        Returns:
            `lose`: carry it out and answer 503; `damage`: give another last byte; else nothing.
        """
        with self._lock:
            self._asked.append(asked)
            for fault in self._faults:
                if re.search(fault[1], asked):
                    self._faults.remove(fault)
                    return fault[0]
        return ""

    def answer(self, path: str, body: bytes, fill: Fill) -> bytes:
        """`/-/asked` gives the requests since; `/-/spoil` takes patterns, one answer each.

        `/-/fill` takes a bucket and objects: one request in place of ten thousand.
        """
        given = json.loads(body or b"{}")
        if path == "/-/spoil":
            with self._lock:
                self._faults += [(given["how"], pattern) for pattern in given["patterns"]]
        elif path == "/-/fill":
            objects = {name: base64.b64decode(text) for name, text in given["objects"].items()}
            fill(given["bucket"], objects, given["more"])
        elif path == "/-/asked":
            with self._lock:
                asked, self._asked, self._faults = self._asked, [], []
            return json.dumps(asked).encode()
        return b"{}"


def damage(answer: bytes) -> bytes:
    """Another last byte."""
    return answer[:-1] + bytes([answer[-1] ^ 1])
