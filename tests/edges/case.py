"""One edge case, and the words in which its two sides are told."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests import pictures
from tests.scenes import draw_photo

ANSWERS = "answers"
"""The reference gives labels and scores, whatever they are worth; or we do where it raises."""

SAME = "the same"
"""We give the reference's labels in its order, and its scores within 1e-5."""

OTHER = "another answer"
"""We answer as it does, but with other labels or scores, in another order or number."""

FILE, BARE_NAME, URL = "@FILE@", "@BARE_NAME@", "@URL@"
"""Stand in `inputs` for what is known only when the tests run: an image file's path, the name of
one in the working folder that might be base64, and an address at which a server gives it."""

PHOTO = draw_photo(3)

Answer = list[dict[str, Any]]

encode_photo = functools.partial(pictures.encode, PHOTO, "PNG")
"""The image of every case that is not about its image."""


class Difference(NamedTuple):
    """Why the two sides of some cases are not alike, on purpose."""

    title: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class EdgeCase:
    """One edge case.

    Attributes:
        group: of the table.
        name: what is special about it.
        reference: `ANSWERS`, or the class of the exception that transformers' pipeline raises.
        ours: `SAME`, `OTHER`, `ANSWERS`, the code of the image's failure, or our error's class.
        difference: why the two are not alike; None where they are.
        image: makes the encoded image.
        inputs: the request's `inputs` where they are not the image.
        parameters: the request's own; None for none.
        model: a name in `tests.edges.models.MODELS`.
        options: of the handler; those that the pipeline knows are given to it, too.
        shows: what must hold of our answer besides.
    """

    group: str
    name: str
    reference: str = ANSWERS
    ours: str = SAME
    difference: Difference | None = None
    image: Callable[[], bytes] = encode_photo
    inputs: object = None
    parameters: Any = None
    model: str = "plain"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    shows: Callable[[Answer], bool] | None = None

    @property
    def data(self) -> bytes:
        """The encoded image; that of the last case is kept."""
        return _make(self.image)

    @property
    def is_different(self) -> bool:
        """Whether the two sides are told as different.

        Where both refuse they are alike, though each does so in its own words.
        """
        return self.ours != SAME if self.reference == ANSWERS else self.ours == ANSWERS

    def __str__(self) -> str:
        """How its test is called."""
        return f"{self.group}: {self.name}"


@functools.lru_cache(maxsize=1)
def _make(image: Callable[[], bytes]) -> bytes:
    return image()


def table(
    group: str,
    reference: str = ANSWERS,
    ours: str = SAME,
    difference: Difference | None = None,
    **usual: Any,
) -> Callable[..., EdgeCase]:
    """Makes the cases of one group, which are alike where they do not say otherwise."""

    def tell(
        name: str,
        reference: str = reference,
        ours: str = ours,
        difference: Difference | None = difference,
        **fields: Any,
    ) -> EdgeCase:
        return EdgeCase(group, name, reference, ours, difference, **{**usual, **fields})

    return tell
