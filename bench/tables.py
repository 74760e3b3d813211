"""What is measured, table by table: which ways, on which pictures, with which model."""

import dataclasses
from collections.abc import Sequence

from bench import models, ways
from bench.gallery import Pictures
from bench.ways import Way


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """One way on some pictures.

    Attributes:
        way: what is run.
        pictures: which, see `Gallery.find`.
        count: how many.
        name: of the row; the way's own where it is empty.
        is_far: whether they lie in a store that is 20 ms away.
        is_fresh: whether the job's cache of models is empty.
    """

    way: Way
    pictures: Pictures
    count: int
    name: str = ""
    is_far: bool = False
    is_fresh: bool = False

    @property
    def title(self) -> str:
        """The name of the row."""
        return self.name or self.way.name


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Trials that take turns, round by round.

    Attributes:
        kind: what it is about, for who wants some tables only.
        title: a heading.
        model: one of `models.NAMES`, or a folder.
        trials: its rows.
        rounds: how often each is measured.
    """

    kind: str
    title: str
    model: str
    trials: tuple[Trial, ...]
    rounds: int


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for.

    Attributes:
        models: of which there is a table each; the first gets every way.
        kinds: of the tables.
        images: photographs of a fast model; a slow one gets fewer.
        large: photographs of 12 megapixels.
        many: images of a run in which memory might grow, in thousands.
        rounds: how often each way is measured.
    """

    models: tuple[str, ...]
    kinds: tuple[str, ...]
    images: int
    large: int
    many: tuple[int, ...]
    rounds: int


KINDS = ("first", "start", "large", "workers", "engines", "profile", "store", "memory", "others")
"""In this order they are measured: what takes longest comes last."""
_SMALL, _TINY = "vit-192", "demo"
_SPREAD_IMAGES = 1_500
_ALSO_BFLOAT16 = ("vit-base",)
_PROFILED = (_SMALL, _TINY)
"""One that is bound by the model, one that is bound by preparation."""


def make_tables(plan: Plan) -> list[Table]:
    """The tables of a plan, in the order of `KINDS`."""
    makers = {
        "first": lambda: [_of_first_model(plan.models[0], plan)],
        "start": lambda: [_of_start(plan)],
        "large": lambda: [_of_large(plan)],
        "workers": lambda: [_of_workers(plan)],
        "engines": lambda: [_of_engines(plan)],
        "profile": lambda: [_of_profile(name, plan) for name in _PROFILED],
        "store": lambda: [_of_store(_SMALL, plan.images, plan), _of_store(_TINY, 1000, plan)],
        "memory": lambda: [_of_memory(plan)],
        "others": lambda: [_of_other_model(name, plan) for name in plan.models[1:]],
    }
    return [table for kind in KINDS if kind in plan.kinds for table in makers[kind]()]


def make_quick_table(images: int) -> Table:
    """The smallest that compares something."""
    chosen = (ways.PIPELINE_HERE, ways.CLOCKED_JOB)
    trials = _on_photographs(chosen, images)
    return Table("others", "The demo's model", _TINY, trials, 1)


def _of_first_model(name: str, plan: Plan) -> Table:
    """Every way."""
    count = models.choose_count(name, plan.images)
    ways_of_known = (*ways.PEERS, *ways.ONE_STREAM, *ways.STREAMS, *ways.BFLOAT16)
    trials = (
        *_on_photographs(ways.JOBS, count),
        Trial(ways.JOB, "photographs", count, "job, model never used before", is_fresh=True),
        *_on_photographs(ways_of_known, count),
    )
    return Table("first", f"{name}, {count} photographs", name, trials, plan.rounds)


def _of_other_model(name: str, plan: Plan) -> Table:
    """The ways that are known to matter."""
    more = ways.BFLOAT16 if name in _ALSO_BFLOAT16 else ()
    chosen = (*ways.JOBS, ways.PIPELINE, *ways.STREAMS[1:], *more)
    count = models.choose_count(name, plan.images)
    trials = _on_photographs(chosen, count)
    return Table("others", f"{name}, {count} photographs", name, trials, plan.rounds)


def _of_profile(name: str, plan: Plan) -> Table:
    chosen = (ways.CLOCKED_JOB,)
    title = f"Where the time goes: {name}, {plan.images} photographs"
    return Table("profile", title, name, _on_photographs(chosen, plan.images), 1)


def _of_large(plan: Plan) -> Table:
    chosen = (*ways.LARGE_JOBS, ways.PIPELINE, ways.STREAMS[-1], *ways.SCALED)
    trials = tuple(Trial(way, "large", plan.large) for way in chosen)
    title = f"{plan.large} photographs of 12 megapixels, {_SMALL}"
    return Table("large", title, _SMALL, trials, plan.rounds)


def _of_start(plan: Plan) -> Table:
    trials = (
        Trial(ways.JOB, "photographs", 1, "job, model never used before", is_fresh=True),
        Trial(ways.JOB, "photographs", 1, "job, model used before"),
        Trial(ways.PIPELINE, "photographs", 1, "transformers pipeline"),
    )
    return Table("start", f"One image, {_SMALL}", _SMALL, trials, plan.rounds)


def _of_memory(plan: Plan) -> Table:
    trials = tuple(Trial(ways.JOB, "many", count, f"job, {count:,} images") for count in plan.many)
    return Table("memory", "Memory of long runs, the demo's model", _TINY, trials, 1)


def _of_workers(plan: Plan) -> Table:
    """Enough images that the start of the processes, one after the other, is little beside them."""
    trials = tuple(Trial(way, "many", _SPREAD_IMAGES) for way in ways.WORKERS)
    title = f"Two worker processes, {_SMALL}, {_SPREAD_IMAGES:,} photographs"
    return Table("workers", title, _SMALL, trials, plan.rounds)


def _of_engines(plan: Plan) -> Table:
    trials = tuple(Trial(way, "many", _SPREAD_IMAGES) for way in ways.ENGINES)
    title = f"Engines, {_SMALL}, {_SPREAD_IMAGES:,} photographs"
    return Table("engines", title, _SMALL, trials, plan.rounds)


def _of_store(name: str, count: int, plan: Plan) -> Table:
    trials = (
        Trial(ways.JOB, "many", count, "job, folder of this machine"),
        Trial(ways.JOB, "many", count, "job, store 20 ms away", is_far=True),
    )
    about = f"{name}, {count:,} photographs (its server takes of the same cores)"
    return Table("store", f"A store that is 20 ms away, {about}", name, trials, plan.rounds)


def _on_photographs(chosen: Sequence[Way], count: int) -> tuple[Trial, ...]:
    return tuple(Trial(way, "photographs", count) for way in chosen)
