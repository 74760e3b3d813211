"""What a collection comes from: what listed it, what classified it, and what was to be classified.

While a graph is built, a PCollection knows what produces it. So a sink finds the model, its
parameters and the number of images by itself, and nobody has to say them a second time.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import apache_beam as beam
from apache_beam.pipeline import AppliedPTransform
from apache_beam.transforms.window import GlobalWindows

from imgcls_beam.passed_over import merge_passed_over
from imgcls_beam.scoring import Scoring


class Classifies:
    """A transform whose outcomes are those of its input, one each.

    Attributes:
        scoring: the model, and what is asked of it; known once the transform was applied. None for
            a transform of several models, whose parts have one each.
    """

    scoring: Scoring | None = None


class Lists:
    """A transform that lists images.

    Attributes:
        passed_over: what each listing passed over, a `PassedOver` each; known once the transform
            was applied.
    """

    passed_over: beam.PCollection | None = None


@dataclasses.dataclass(frozen=True)
class Classification:
    """One model's part in a collection of outcomes.

    Attributes:
        scoring: the model, and what was asked of it.
        taken: what was to be classified: each element is one outcome.
    """

    scoring: Scoring
    taken: beam.PCollection


def find_classifications(outcomes: beam.PCollection) -> list[Classification]:
    """What classified a collection, whatever was applied to it since; empty where nothing did.

    Outcomes of several models that were flattened together have one each.
    """
    found: dict[int, Classification] = {}

    def look(producer: AppliedPTransform) -> Iterable[beam.PCollection]:
        classified = [each for each in _climb(producer) if isinstance(each.transform, Classifies)]
        asked = [each for each in classified if each.transform.scoring is not None]
        if asked:  # its predictions and its failures are of one transform
            one = Classification(asked[0].transform.scoring, classified[-1].inputs[0])
            found.setdefault(id(asked[0]), one)
        return () if asked else tuple(producer.inputs)

    _search(outcomes, look)
    return list(found.values())[::-1]


def find_passed_over(outcomes: beam.PCollection) -> beam.PCollection | None:
    """At most one element: what was passed over by all that listed the images.

    There is none where nothing was passed over; None stands for no listing in the graph.
    """
    found: dict[int, beam.PCollection] = {}

    def look(producer: AppliedPTransform) -> Iterable[beam.PCollection]:
        for each in _climb(producer):
            if isinstance(each.transform, Lists) and each.transform.passed_over is not None:
                found[id(each)] = each.transform.passed_over
        return tuple(producer.inputs)

    _search(outcomes, look)
    if not found:
        return None
    counts = _flatten(list(found.values()), "PassedOver")
    add = beam.CombineGlobally(merge_passed_over).without_defaults()
    return counts | "AddPassedOver" >> add


def count_taken(
    outcomes: beam.PCollection,
    others: Sequence[beam.PCollection] = (),
    hints: Mapping[str, str] = MappingProxyType({}),
) -> beam.PCollection:
    """At most one element: how many outcomes there have to be, and how many others there are.

    There is none where the count is 0: a default costs Beam four more steps, and a view has one.
    Outcomes are counted where the images come in. Where nothing in the graph classifies, the
    outcomes themselves are counted.

    `hints` are the resource hints of what gives the outcomes.
    """
    taken = [each.taken for each in find_classifications(outcomes)]
    counts = [_count(each, f"Taken{index}") for index, each in enumerate([*taken, *others])]
    if not taken:
        counts.append(_count(outcomes, "Outcomes", hints))
    if len(counts) == 1:
        return counts[0]
    return _flatten(counts, "Counts") | "Listed" >> beam.CombineGlobally(sum).without_defaults()


def _flatten(collections: Sequence[beam.PCollection], label: str) -> beam.PCollection:
    """One collection of several; one alone is it."""
    if len(collections) == 1:
        return collections[0]
    return tuple(collections) | label >> beam.Flatten()


def _search(
    outcomes: beam.PCollection,
    look: Callable[[AppliedPTransform], Iterable[beam.PCollection]],
) -> None:
    """Looks once at each transform that a collection comes from; `look` says where to go on."""
    seen: set[int] = set()
    waiting = [outcomes]
    while waiting:
        producer = waiting.pop().producer
        if producer is not None and id(producer) not in seen:
            seen.add(id(producer))
            waiting += look(producer)


def _climb(applied: AppliedPTransform) -> Iterator[AppliedPTransform]:
    """A transform as it was applied, and those that it is part of, the innermost first."""
    while applied is not None and applied.transform is not None:
        yield applied
        applied = applied.parent


def _count(
    elements: beam.PCollection, label: str, hints: Mapping[str, str] = MappingProxyType({})
) -> beam.PCollection:
    if not elements.windowing.is_default():
        window = beam.WindowInto(GlobalWindows()).with_resource_hints(**hints)
        elements = elements | f"{label}Window" >> window
    count = beam.combiners.Count.Globally().without_defaults()
    return elements | label >> count.with_resource_hints(**hints)
