"""The run record: written last, it is the commit of a run.

`OUT/runs/<run_id>.json` exists if and only if every file that it names is complete and in place.
In JSON a session is called `attempt`: readers know it by this name.
"""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from imgcls_beam.scoring import REVISION_CHARS, Scoring, make_model_key
from imgcls_beam.stores import file_operations

FORMAT_VERSION = 1
DONE = "DONE"
FAILED = "FAILED"


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
    """

    id: str
    revision: str
    key: str
    weights: str | None = None
    top_k: int | None = None
    function_to_apply: str | None = None

    @classmethod
    def of_scoring(cls, scoring: Scoring) -> "RecordedModel":
        """The model of a scoring."""
        model = scoring.model
        names = (model.model_id, model.revision, model.key, model.weights)
        return cls(*names, scoring.top_k, scoring.function_to_apply)

    @classmethod
    def of_scorings(cls, scorings: Iterable[Scoring]) -> "tuple[RecordedModel, ...]":
        """The models of scorings, each identity once, by key."""
        found = {model.identity: model for model in map(cls.of_scoring, scorings)}
        return tuple(sorted(found.values(), key=lambda model: (model.key, str(model))))

    @property
    def identity(self) -> tuple[str, int | None, str | None]:
        """Rows of equal identity can be compared."""
        return self.key, self.top_k, self.function_to_apply

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

    def __str__(self) -> str:
        """In a sentence: the key and the parameters."""
        asked = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.key} ({asked})"


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedFile:
    """One published file: its path relative to the output folder, and what it holds."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class RunRecord:
    """What became of a run.

    Attributes:
        run_id: name of the run.
        run_date: the day to which its rows belong.
        session_id: which start of the program published it, or published to it last.
        state: `DONE`, or `FAILED` where the counts do not add up.
        models: whose rows it has, and what the job asked of them.
        listed: how many images were listed; an image counts once for each model.
        summary: what the rows add up to, as `Summary.to_json` gives it.
        publications: the first and, where rows were added or replaced since, the later ones.
        files: what was published.
        configuration: of the job, as it was given.
        library_versions: versions by name.
        problem: why the run failed; None where it did not.
    """

    run_id: str
    run_date: datetime.date
    session_id: str
    state: str
    models: tuple[RecordedModel, ...]
    listed: int
    summary: Mapping[str, Any]
    publications: tuple[RecordedPublication, ...]
    files: tuple[RecordedFile, ...] = ()
    configuration: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    library_versions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    problem: str | None = None

    @property
    def model(self) -> dict[str, str] | None:
        """The names of its only model; None where there are several, or none."""
        return self.models[0].names if len(self.models) == 1 else None

    @property
    def parameters(self) -> dict[str, Any] | None:
        """What was asked of its only model; None where there are several, or none."""
        return self.models[0].parameters if len(self.models) == 1 else None

    @property
    def counts(self) -> dict[str, int]:
        """Images by what became of them; `listed` is the sum of the others in a `DONE` run."""
        return {"listed": self.listed, **self.summary["counts"]}

    @property
    def error_ratio(self) -> float:
        """Error rows per listed image, 0.0 to 1.0; 0.0 where none was listed."""
        return self.counts["error"] / self.listed if self.listed else 0.0

    @property
    def started_at(self) -> datetime.datetime:
        """When the program was first started, UTC."""
        return self.publications[0].started_at

    @property
    def finished_at(self) -> datetime.datetime:
        """When this record was made, UTC."""
        return self.publications[-1].finished_at

    @property
    def duration_s(self) -> float:
        """How long the program ran, from each start to each record."""
        return sum(each.duration_s for each in self.publications)

    @property
    def images_per_s(self) -> float:
        """Images that were looked at, per second of all that time; start-up is in it."""
        done = sum(each.rows - each.skipped for each in self.publications)
        return done / self.duration_s if self.duration_s > 0 else 0.0

    def to_json(self) -> str:
        """JSON text with sorted keys, indented by 2, ending in a newline."""
        fields = {
            **self.summary,
            **{name: getattr(self, name) for name in (*_PLAIN, *_DERIVED)},
            "format_version": FORMAT_VERSION,
            "attempt": self.session_id,
            "models": [{**each.names, "parameters": each.parameters} for each in self.models],
            "run_date": self.run_date.isoformat(),
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "publications": [each.to_json() for each in self.publications],
            "files": [dataclasses.asdict(file) for file in self.files],
            "configuration_sha256": hash_configuration(self.configuration),
        }
        return json.dumps(fields, sort_keys=True, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "RunRecord":
        """Parses what `to_json` writes; what can be derived is derived again.

        Raises:
            ValueError: not JSON, or not a record of this format.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"not a run record of format {FORMAT_VERSION}")
        try:
            return cls._from_fields(fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a run record of format {FORMAT_VERSION}") from error

    @classmethod
    def _from_fields(cls, fields: Mapping[str, Any]) -> "RunRecord":
        counts = dict(fields["counts"])
        models = _parse_models(fields)
        only = {"model_key": models[0].key} if len(models) == 1 else {}
        return cls(
            **{name: fields[name] for name in _PLAIN},
            session_id=fields["attempt"],
            models=models,
            run_date=datetime.date.fromisoformat(fields["run_date"]),
            listed=counts.pop("listed"),
            summary={name: fields[name] for name in _SUMMARY}
            | {name: fields.get(name, 0) for name in _ADDED}
            | {"counts": counts},
            publications=tuple(map(RecordedPublication.from_json, fields["publications"])),
            files=tuple(RecordedFile(**(only | file)) for file in fields["files"]),
        )


def _parse_models(fields: Mapping[str, Any]) -> tuple[RecordedModel, ...]:
    """The models; records of before November 2026 have one, in `model` and `parameters`."""
    found = fields.get("models")
    if found is None:
        found = [{**fields["model"], "parameters": fields["parameters"]}]
    models = [dict(each) for each in found]
    for each in models:  # folders were keyed by their names once
        each["key"] = make_model_key(each["id"], each["revision"])
    return tuple(RecordedModel(**each.pop("parameters"), **each) for each in models)


_PLAIN = ("run_id", "state", "configuration", "library_versions", "problem")
_DERIVED = ("model", "parameters", "counts", "error_ratio", "duration_s", "images_per_s")
_TIMES = ("started_at", "finished_at")
_SUMMARY = (
    *("errors", "labels", "score_histogram", "first_at", "last_at"),
    *("preprocess_ms", "inference_ms", "bytes_read"),
)
_ADDED = ("duplicates", "shared")
"""Of the summary; records of before December 2026 have none of them, and mean 0."""


def hash_configuration(configuration: Mapping[str, Any]) -> str:
    """SHA-256 of the configuration as compact JSON with sorted keys: equal jobs, equal hash."""
    text = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def encode_record(record: RunRecord) -> bytes:
    """The record's bytes. A lone surrogate is written as its JSON escape, so it comes back."""
    return record.to_json().encode("utf-8", "backslashreplace")


def read_record(url: str) -> RunRecord:
    """Reads a run record from a path or any fsspec URL.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a record of this format.
    """
    with file_operations.open_existing(url) as source:
        return RunRecord.from_json(source.read())
