"""A store that fails as often as it is told."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import Stage
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import read_images

SCHEMES = ("flaky", "parallel")
OPTIONS = ReadOptions(max_bytes=100, tries=4, first_wait_s=0.5, allow_schemes=SCHEMES)


class FlakyStore(MemoryFileSystem):
    """An object store that fails as often as it is told, and remembers what it was asked."""

    protocol = "flaky"
    store: dict[str, Any] = {}  # noqa: RUF012  as its parent has it
    pseudo_dirs = [""]  # noqa: RUF012
    faults: dict[str, Iterator[Exception | None]] = {}  # noqa: RUF012
    asked: Counter[str] = Counter()  # noqa: RUF012
    delivered_bytes = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = MemoryFileSystem._strip_protocol(path.removeprefix("flaky://"))
        return stripped

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        FlakyStore.asked[path] += 1
        if fault := next(FlakyStore.faults.get(path, iter(())), None):
            raise fault
        data: bytes = super().cat_file(path, start, end, **kwargs)
        FlakyStore.delivered_bytes += len(data)
        return data


fsspec.register_implementation("flaky", FlakyStore, clobber=True)


def empty() -> None:
    """Forgets what tests before put there."""
    for kept in (FlakyStore.store, FlakyStore.faults, FlakyStore.asked):
        kept.clear()
    FlakyStore.delivered_bytes = 0


def put(name: str, *faults: Exception, data: bytes = b"data") -> ImageRef:
    """An object that fails with each of the faults before it is given."""
    FlakyStore().pipe(f"/{name}", data)
    FlakyStore.faults[f"/{name}"] = iter(faults)
    return ImageRef(f"flaky://{name}", size_bytes=len(data))


def read(*refs: ImageRef, options: ReadOptions = OPTIONS) -> list[EncodedImage | Failure]:
    return read_images(refs, options, sleep=_never_sleep)


def _never_sleep(seconds: float) -> None:
    assert seconds >= 0


def read_failure(ref: ImageRef, options: ReadOptions = OPTIONS) -> Failure:
    (result,) = read(ref, options=options)
    assert isinstance(result, Failure)
    assert (result.ref, result.stage) == (ref, Stage.READ)
    return result
