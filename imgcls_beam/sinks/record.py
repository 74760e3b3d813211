"""The run record: written last, it is the commit of a run.

`OUT/runs/<run_id>.json` exists if and only if every file that it names is complete and in place.
"""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from imgcls_beam.elements import make_model_key
from imgcls_beam.sinks import store
from imgcls_beam.sinks.recorded import RecordedFile, RecordedPublication

FORMAT_VERSION = 1
DONE = "DONE"
FAILED = "FAILED"


@dataclasses.dataclass(frozen=True, slots=True)
class RunRecord:
    """What became of a run.

    Attributes:
        run_id: name of the run.
        run_date: the day to which its rows belong.
        attempt: which start of the program published it, or published to it last.
        state: `DONE`, or `FAILED` where the counts do not add up.
        model: id, revision, key, and the file of its weights where that is known.
        parameters: top_k and function_to_apply, as the job asked for them.
        listed: how many images were listed.
        summary: what the rows add up to, as `Summary.to_json` gives it.
        publications: the first and, where rows were added or replaced since, the later ones.
        files: what was published.
        configuration: of the job, as it was given.
        library_versions: versions by name.
        problem: why the run failed; None where it did not.
    """

    run_id: str
    run_date: datetime.date
    attempt: str
    state: str
    model: Mapping[str, str]
    parameters: Mapping[str, Any]
    listed: int
    summary: Mapping[str, Any]
    publications: tuple[RecordedPublication, ...]
    files: tuple[RecordedFile, ...] = ()
    configuration: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    library_versions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    problem: str | None = None

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
            counts = dict(fields["counts"])
            model = fields["model"]
            model["key"] = make_model_key(model["id"], model["revision"])
            return cls(
                **{name: fields[name] for name in _PLAIN},
                run_date=datetime.date.fromisoformat(fields["run_date"]),
                listed=counts.pop("listed"),
                summary={name: fields[name] for name in _SUMMARY} | {"counts": counts},
                publications=tuple(map(RecordedPublication.from_json, fields["publications"])),
                files=tuple(RecordedFile(**file) for file in fields["files"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a run record of format {FORMAT_VERSION}") from error


_PLAIN = (
    "run_id",
    "attempt",
    "state",
    "model",
    "parameters",
    "configuration",
    "library_versions",
    "problem",
)
_DERIVED = ("counts", "error_ratio", "duration_s", "images_per_s")
_SUMMARY = (
    "errors",
    "labels",
    "score_histogram",
    "first_at",
    "last_at",
    "preprocess_ms",
    "inference_ms",
    "bytes_read",
)


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
    with store.open_existing(url) as source:
        return RunRecord.from_json(source.read())
