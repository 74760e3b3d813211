"""Objects that several references name: each is read once, and all of them get its bytes."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Sequence

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, RequestLine

Result = EncodedImage | Failure
Given = ImageRef | EncodedImage | Failure


def _keep_nothing() -> None:
    """What needs no memory of its own gives none back."""


@dataclasses.dataclass(frozen=True, slots=True)
class LateRead:
    """A result that is to come: its object is asked for again.

    Attributes:
        ref: whose result it is.
        answer: the object's, which may have other refs, too.
        release: gives back the memory that it takes; to be called once, when it is given on.
    """

    ref: ImageRef
    answer: "concurrent.futures.Future[Result]"
    release: Callable[[], None] = _keep_nothing


Begun = Result | LateRead

ObjectKey = tuple[object, ...]
"""Refs of equal keys name one content."""


def find_object(given: Given) -> ObjectKey | None:
    """The object that is to be read; None where nothing is, or it gives more than bytes."""
    if not isinstance(given, ImageRef) or isinstance(given.locator, RequestLine):
        return None
    return given.uri, given.version, given.size_bytes, given.checksum, given.locator


def give_to(ref: ImageRef, result: Begun) -> Begun:
    """The result of another reference to the same object."""
    return dataclasses.replace(result, ref=ref)


def wait_for(begun: Begun) -> Result:
    """The result itself.

    Raises:
        Exception: what ends the run, or the process.
    """
    if not isinstance(begun, LateRead):
        return begun
    return dataclasses.replace(begun.answer.result(), ref=begun.ref)


def read_shared(
    given: Sequence[Given], read: Callable[[Sequence[Given]], Sequence[Begun]]
) -> list[Begun]:
    """Reads each object once; one result for each that was given, in order."""
    first: dict[ObjectKey | int, int] = {}
    firsts = [first.setdefault(find_object(each) or i, i) for i, each in enumerate(given)]
    wanted = sorted(set(firsts))
    results = dict(zip(wanted, read([given[i] for i in wanted]), strict=True))
    return [
        results[first] if first == i else _share(given[i], results[first])
        for i, first in enumerate(firsts)
    ]


def _share(given: Given, result: Begun) -> Begun:
    return give_to(given, result) if isinstance(given, ImageRef) else result
