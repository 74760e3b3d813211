"""What a run record is made of: models, files, and publications."""

import dataclasses
import datetime
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imgcls_beam.errors import ConfigError
from imgcls_beam.scoring import REVISION_CHARS, Preprocess, SandboxState, Scoring, make_model_key


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedModel:
    """A model of the run, and what the job asked of it.

    Attributes:
        id: hub id, or the folder as it was given.
        revision: its commit, or the SHA-256 of its folder.
        key: as in the rows.
        weights: the file its weights are read from; None where that is not known.
        top_k: at most so many labels; None for every label.
        function_to_apply: None leaves it to the model.
        preprocess: how its images were prepared: `exact` or `fast`.
    """

    id: str
    revision: str
    key: str
    weights: str | None = None
    top_k: int | None = None
    function_to_apply: str | None = None
    preprocess: Preprocess = "exact"

    @classmethod
    def of_scoring(cls, scoring: Scoring) -> "RecordedModel":
        """The model of a scoring."""
        model = scoring.model
        names = (model.model_id, model.revision, model.key, model.weights)
        return cls(*names, scoring.top_k, scoring.function_to_apply, scoring.preprocess)

    @classmethod
    def of_scorings(cls, scorings: Iterable[Scoring]) -> "tuple[RecordedModel, ...]":
        """The models of scorings, each identity once, by key."""
        found = {model.identity: model for model in map(cls.of_scoring, scorings)}
        return tuple(sorted(found.values(), key=lambda model: (model.key, str(model))))

    @property
    def identity(self) -> tuple[str, int | None, str | None, Preprocess]:
        """Rows of equal identity can be compared."""
        return self.key, self.top_k, self.function_to_apply, self.preprocess

    @property
    def display_name(self) -> str:
        """For people, see `ModelSource.display_name`."""
        return f"{self.id}@{self.revision[:REVISION_CHARS]}"

    @property
    def names(self) -> dict[str, str]:
        """Id, revision, key, and the weights where they are known."""
        weights = {"weights": self.weights} if self.weights else {}
        return {"id": self.id, "revision": self.revision, "key": self.key, **weights}

    @property
    def parameters(self) -> dict[str, Any]:
        """What the job asked of it."""
        return {"top_k": self.top_k, "function_to_apply": self.function_to_apply}

    @property
    def asked(self) -> dict[str, Any]:
        """All that the job asked, by the names of its options."""
        return {**self.parameters, "preprocess": self.preprocess}

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**self.names, "parameters": self.parameters, "preprocess": self.preprocess}

    def __str__(self) -> str:
        """In a sentence: the key and what was asked."""
        asked = ", ".join(f"{name}={value}" for name, value in self.asked.items())
        return f"{self.key} ({asked})"


def parse_models(fields: Mapping[str, Any]) -> tuple[RecordedModel, ...]:
    """The models; records of before November 2026 have one, in `model` and `parameters`."""
    found = fields.get("models")
    if found is None:
        found = [{**fields["model"], "parameters": fields["parameters"]}]
    models = [dict(each) for each in found]
    for each in models:  # folders were keyed by their names once
        each["key"] = make_model_key(each["id"], each["revision"])
    return tuple(RecordedModel(**each.pop("parameters"), **each) for each in models)


def check_distinct(scorings: Sequence[Scoring]) -> tuple[RecordedModel, ...]:
    """The models of scorings, of which each asks one thing: an image has one row of a model.

    Raises:
        ConfigError: two of them ask different things of one model.
    """
    models = RecordedModel.of_scorings(scorings)
    for one, other in itertools.pairwise(models):
        if one.key == other.key:
            problem = f"a run has one row an image and model, but there are {one} and {other}"
            raise ConfigError("model", one.key, f"{problem}; give each a run of its own")
    return models


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedEngine:
    """An engine that ran a model, and why it was taken: on one of the workers that took it.

    Attributes:
        model_key: of the model.
        engine: `torch` or `openvino`.
        why: half a sentence.
    """

    model_key: str
    engine: str
    why: str


def merge_engines(engines: Iterable[RecordedEngine]) -> tuple[RecordedEngine, ...]:
    """Each engine of each model once, with the last of its reasons.

    While an engine is used it may be found out why it is the right one.
    """
    found: dict[tuple[str, str], RecordedEngine] = {}
    for each in engines:
        found[each.model_key, each.engine] = each
    return tuple(found.values())


def parse_sandbox(fields: Iterable[Mapping[str, Any]]) -> tuple[SandboxState, ...]:
    """The states that a record has, which are written as their fields."""
    return tuple(SandboxState(each["where"], tuple(each["locks"]), each["why"]) for each in fields)


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedFile:
    """One complete Parquet file of a run, staged or published.

    Attributes:
        path: where it lies in the output folder.
        rows: how many rows went into it.
        size_bytes: its length.
        sha256: of its bytes, taken while they were written.
        model_key: the model of its rows.
    """

    path: str
    rows: int
    size_bytes: int
    sha256: str
    model_key: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedPublication:
    """One time that rows of the run were published: the first, or one that added or replaced rows.

    Attributes:
        session_id: which start of the program did it.
        how: `new`, `replace`, `append` or `errors`.
        started_at: when the program was started, UTC.
        finished_at: when the record was made, UTC.
        rows: how many rows it wrote.
        skipped: how many of them are of images that were not looked at.
    """

    session_id: str
    how: str
    started_at: datetime.datetime
    finished_at: datetime.datetime
    rows: int
    skipped: int = 0

    @property
    def duration_s(self) -> float:
        """From the start of the program to the making of the record."""
        return (self.finished_at - self.started_at).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        fields = dataclasses.asdict(self)
        times = {name: getattr(self, name).isoformat() for name in _TIMES}
        return {"attempt": fields.pop("session_id"), **fields, **times}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "RecordedPublication":
        """Parses what `to_json` gives.

        Raises:
            KeyError: something of it is missing.
            TypeError: something of it is of another kind.
            ValueError: a time that is none.
        """
        given = dict(fields)
        times = {name: datetime.datetime.fromisoformat(given[name]) for name in _TIMES}
        return cls(given.pop("attempt"), **(given | times))


_TIMES = ("started_at", "finished_at")
