"""The run record: written last, it is the commit of a run.

`OUT/runs/<run_id>.json` exists if and only if every file that it names is complete and in place.
In JSON a session is called `attempt`: readers know it by this name.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from imgcls_beam.errors import ConfigError, RunExistsError
from imgcls_beam.scoring import SandboxState
from imgcls_beam.sinks.record_parts import (
    RecordedEngine,
    RecordedFile,
    RecordedModel,
    RecordedPublication,
    parse_models,
    parse_sandbox,
)
from imgcls_beam.sinks.run_paths import PREDICTIONS, RUNS, name_record
from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.opening import open_parent

FORMAT_VERSION = 1
DONE = "DONE"
FAILED = "FAILED"


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
        passed_over: what was seen beside the images, as `PassedOver.to_json` gives it.
        engines: what ran its models, and why.
        sandbox: where its images were decoded, and what held there; of each of the workers.
        recovered: how many rows that had failed are good since the last publication; None where
            that tried nothing again.
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
    passed_over: Sequence[Mapping[str, Any]] = ()
    engines: tuple[RecordedEngine, ...] = ()
    sandbox: tuple[SandboxState, ...] = ()
    recovered: int | None = None

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
            "passed_over": self.passed_over,
            "attempt": self.session_id,
            "recovered": self.recovered,
            "models": [each.to_json() for each in self.models],
            "run_date": self.run_date.isoformat(),
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "publications": [each.to_json() for each in self.publications],
            "engines": [dataclasses.asdict(each) for each in self.engines],
            "sandbox": [dataclasses.asdict(each) for each in self.sandbox],
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
        models = parse_models(fields)
        only = {"model_key": models[0].key} if len(models) == 1 else {}
        return cls(
            **{name: fields[name] for name in _PLAIN},
            session_id=fields["attempt"],
            passed_over=fields.get("passed_over", ()),
            recovered=fields.get("recovered"),
            engines=tuple(RecordedEngine(**each) for each in fields.get("engines", ())),
            sandbox=parse_sandbox(fields.get("sandbox", ())),
            models=models,
            run_date=datetime.date.fromisoformat(fields["run_date"]),
            listed=counts.pop("listed"),
            summary={name: fields[name] for name in _SUMMARY}
            | {name: fields.get(name, 0) for name in _ADDED}
            | {"counts": counts},
            publications=tuple(map(RecordedPublication.from_json, fields["publications"])),
            files=tuple(RecordedFile(**(only | file)) for file in fields["files"]),
        )


_PLAIN = ("run_id", "state", "configuration", "library_versions", "problem")
_DERIVED = ("model", "parameters", "counts", "error_ratio", "duration_s", "images_per_s")
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
    folder, name = open_parent("output", url)
    return read_record_in(folder, name)


def read_record_in(folder: Folder, name: str) -> RunRecord:
    """`read_record` of a file in a folder."""
    with folder.open_existing(name) as source:
        return RunRecord.from_json(source.read())


def read_records(folder: Folder) -> Iterator[RunRecord]:
    """The records of the finished runs of an output folder, by run id."""
    try:
        found = folder.store.ls(folder.path_of(RUNS), detail=True)
    except FileNotFoundError:
        return
    paths = (info["name"] for info in found if info["type"] == "file")
    wanted = sorted(path for path in paths if path.endswith(".json"))
    for text in folder.store.cat_ranges(wanted, None, None, on_error="return"):
        if isinstance(text, FileNotFoundError):  # it went meanwhile
            continue
        if isinstance(text, Exception):
            raise text
        with contextlib.suppress(ValueError):  # it is no record
            record = RunRecord.from_json(text)
            if record.state == DONE:
                yield record


@dataclasses.dataclass(frozen=True, slots=True)
class Current:
    """The current record of a run.

    Attributes:
        record: as it was read.
        etag: of its content.
    """

    record: RunRecord
    etag: str


def find_current(folder: Folder, run_id: str) -> Current | None:
    """The current record of a run; None where there is none.

    Raises:
        RunExistsError: there is a file in its place that is no record.
    """
    try:
        data, etag = folder.read_with_etag(name_record(run_id))
        return Current(RunRecord.from_json(data), etag)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise make_exists_error(folder, run_id) from error


def make_exists_error(folder: Folder, run_id: str) -> RunExistsError:
    """The error for a run id that is taken, with what would have to be deleted to free it."""
    name = name_record(run_id)
    files = {f"{PREDICTIONS}/*/*/run_id={run_id}"}
    with contextlib.suppress(OSError, ValueError):  # an unreadable record takes the run id too
        record = RunRecord.from_json(folder.read_with_etag(name)[0])
        files = {file.path.rpartition("/")[0] for file in record.files}
    places = " and ".join(map(folder.url_of, (name, *sorted(files))))
    problem = (
        "this run has been published; give another --run_id, or --if_exists=replace or append, "
        f"or delete {places}"
    )
    return RunExistsError("run_id", run_id, problem)


def check_same_models(record: RunRecord, models: Iterable[RecordedModel]) -> None:
    """Checks that rows of these models may be added to a run.

    Raises:
        ConfigError: the run has other models, or asked something else of them.
    """
    known = {each.identity for each in record.models}
    for model in models:
        if not known or model.identity in known:
            continue
        same = next((each for each in record.models if each.key == model.key), None)
        if same is None:
            keys = " and ".join(each.key for each in record.models)
            raise make_other_error(record, "model", keys, model.key)
        for name, given in model.asked.items():
            if given != same.asked[name]:
                raise make_other_error(record, name, same.asked[name], given)


def make_other_error(record: RunRecord, option: str, has: object, given: object) -> ConfigError:
    """The error for rows that cannot be added to a run which has something else."""
    problem = f"run {record.run_id} has {has}; give that, or another --run_id"
    return ConfigError(option, given, problem)
