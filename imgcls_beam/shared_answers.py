"""Logits of images that were predicted lately, for others of the same bytes.

They are kept by content, in each process of a worker, for one application of a model: what one
pipeline predicted is nothing to another.
"""

import collections
import dataclasses
import threading
import weakref
from collections.abc import Mapping, Set
from typing import NamedTuple

from imgcls_beam.classifying import Best, Logits
from imgcls_beam.elements import ImageRef, PixelArray
from imgcls_beam.listing import reference_digest
from imgcls_beam.scoring import Execution

KEPT_BYTES = 32 << 20
"""Some 7,000 images of 1,000 labels, or 50,000 of ten."""
_ENTRY_BYTES = 600
"""What an answer takes beside its logits, measured."""
_RANKED_BYTES = 80
"""What a class takes that a device has ranked: two numbers, and their places in two tuples."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a model said of one image.

    Attributes:
        logits: float32 (C,); None where its device has ranked, and they were not wanted.
        execution: of the pass that gave them.
        ref: of the image that was in the pass.
        best: what its device has ranked; None where the logits are to be ranked here.
    """

    logits: Logits | None
    execution: Execution
    ref: ImageRef
    best: Best | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What one batch is to ask the model about; images are meant by their place in it.

    Attributes:
        known: answers that are there already.
        asked: of all images of the same bytes the first, whose answers nobody else awaits.
        copies: of an asked image in the same batch, and its place.
        contents: of the asked ones, which other batches wait for until they are released.
    """

    known: Mapping[int, Answer]
    asked: tuple[int, ...]
    copies: Mapping[int, int]
    contents: Set[bytes]


class _Kept(NamedTuple):
    """An answer without what was carried with its image.

    Attributes:
        reference: digest of the reference that was predicted.
    """

    logits: Logits
    execution: Execution
    uri: str
    reference: bytes
    best: Best | None

    @property
    def size_bytes(self) -> int:
        ranked = 0 if self.best is None else _RANKED_BYTES * (2 + len(self.best.classes))
        return self.logits.nbytes + len(self.uri) + ranked + _ENTRY_BYTES


class Answers:
    """Answers by the content of their images, as many as fit; threads share it."""

    def __init__(self, limit_bytes: int = KEPT_BYTES) -> None:
        """Takes the limit; the answers that were asked for longest ago go first."""
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._changed = threading.Condition()
        self._kept: collections.OrderedDict[bytes, _Kept] = collections.OrderedDict()
        self._claimed: set[bytes] = set()

    def claim(self, images: Mapping[int, PixelArray], *, waits: bool = False) -> Claim:
        """Which of some images their batch is to ask the model about, and what is known of others.

        An image that another batch has claimed is neither, unless this one waits for that.

        Args:
            images: of one batch, by their places in it.
            waits: whether to wait until no other batch has claimed one of them. Who waits has
                claimed nothing itself.
        """
        contents = {place: _content_of(image) for place, image in images.items()}
        known: dict[int, Answer] = {}
        asked: dict[bytes | int, int] = {}
        copies: dict[int, int] = {}
        with self._changed:
            if waits:
                self._changed.wait_for(lambda: self._claimed.isdisjoint(contents.values()))
            for place, image in images.items():
                content = contents[place]
                if content is None:
                    asked[place] = place
                elif content in self._kept:
                    known[place] = self._take(image, content)
                elif content in asked:
                    copies[place] = asked[content]
                elif content not in self._claimed:
                    asked[content] = place
            claimed = {each for each in asked if isinstance(each, bytes)}
            self._claimed |= claimed
        return Claim(known, tuple(asked.values()), copies, claimed)

    def release(self, claim: Claim) -> None:
        """Lets others have what was claimed: the answers are kept by now, or there are none."""
        with self._changed:
            self._claimed -= claim.contents
            self._changed.notify_all()

    def _take(self, image: PixelArray, content: bytes) -> Answer:
        """The answer that is kept for an image of these bytes.

        A bundle that runs again finds its own answers: an image's own is as the model gave it.
        """
        self._kept.move_to_end(content)
        kept = self._kept[content]
        is_own = kept.uri == image.ref.uri and kept.reference == reference_digest(image.ref)
        ref = image.ref if is_own else ImageRef(kept.uri)
        return Answer(kept.logits, kept.execution, ref, kept.best)

    def add(self, image: PixelArray, answer: Answer) -> None:
        """Keeps an answer; where there is one for the same bytes already, that one stays.

        One without logits is not kept: it would not do for other parameters.
        """
        content = _content_of(image)
        if content is None or answer.logits is None:
            return
        # A row of a batch would keep all of the batch.
        reference = reference_digest(answer.ref)
        logits = answer.logits.copy()
        kept = _Kept(logits, answer.execution, answer.ref.uri, reference, answer.best)
        with self._changed:
            if self._kept.setdefault(content, kept) is not kept:
                return
            self._size_bytes += kept.size_bytes
            while self._size_bytes > self._limit_bytes:
                self._size_bytes -= self._kept.popitem(last=False)[1].size_bytes


def _content_of(image: PixelArray) -> bytes | None:
    return None if image.facts is None else bytes.fromhex(image.facts.sha256)


_FOUND: "weakref.WeakValueDictionary[str, Answers]" = weakref.WeakValueDictionary()
_FINDING = threading.Lock()


def find_answers(application: str) -> Answers:
    """The answers that one application of a model has in this process; they live with their users.

    Args:
        application: a word of its own for each.
    """
    with _FINDING:
        return _FOUND.setdefault(application, Answers())
