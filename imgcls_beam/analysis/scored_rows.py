"""The good rows of one model in a run, as arrays: what is judged, compared and reviewed.

Scores lie flat, as in Arrow: those of row i from `starts[i]` to `starts[i + 1]`, best first. They
and their label ids are 16 bytes a score, and 12 more while they are joined. The text of a label is
held once: to evaluate 100,000 rows of 10 labels took 68 MB, and 98 MB where each row kept its own
until the end. To evaluate 2,000 rows of 1,000 scores took 10.5 bytes a score on top of that, where
every row has a truth.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.run_rows import RunRows
from imgcls_beam.spec import FUNCTIONS

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
ShortIntegers = np.ndarray[Any, np.dtype[np.int32]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]

_COLUMNS = ("status", "image_uri", "predictions", "top_margin", "params", "attributes")
COMPARED = ("status", "image_uri", "predictions", "top_margin", "params", "image_sha256")
"""What a comparison needs."""
_OF_PROBABILITIES = [FUNCTIONS.index(name) for name in ("softmax", "sigmoid")]


class _Part(NamedTuple):
    """The good rows of a batch; of their labels the ids alone, as the texts weigh most of all."""

    lengths: Integers
    label_ids: ShortIntegers
    scores: Floats
    margins: Floats
    functions: Integers
    uris: pa.Array
    attributes: pa.Array
    contents: pa.Array


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """N good rows with M scores in all, of one model.

    Attributes:
        labels: the names of the labels that stand in these rows, by label id.
        uris: of the images, N.
        starts: where each row's scores begin, and M at the end; N + 1.
        label_ids: of the scores, M.
        scores: best first in each row, M.
        margins: best score minus the second best over all classes, N; NaN where there is one class.
        functions: what made each row's scores, an index in `spec.FUNCTIONS`; -1 unknown, N.
        attributes: what the rows carry, as JSON, N; null where nothing.
        contents: SHA-256 of the images, N; null where it was not read.
        statuses: rows of the run by status, those of other statuses too.
    """

    labels: tuple[str, ...]
    uris: pa.ChunkedArray
    starts: Integers
    label_ids: Integers
    scores: Floats
    margins: Floats
    functions: Integers
    attributes: pa.ChunkedArray
    contents: pa.ChunkedArray
    statuses: Mapping[str, int]

    @property
    def rows(self) -> int:
        """N."""
        return len(self.starts) - 1

    @property
    def top_ids(self) -> Integers:
        """The id of each row's best label, N."""
        return self.label_ids[self.starts[:-1]]

    @property
    def top_scores(self) -> Floats:
        """Each row's best score, N."""
        return self.scores[self.starts[:-1]]

    @property
    def is_softmax(self) -> Booleans:
        """Whether a row's scores over all labels add up to 1, N."""
        found: Booleans = self.functions == FUNCTIONS.index("softmax")
        return found

    @property
    def has_raw_scores(self) -> bool:
        """Whether a row's scores are no probabilities: neither softmax nor sigmoid was applied."""
        return not are_probabilities(self.functions).all()

    @property
    def lengths(self) -> Integers:
        """How many labels each row has, N."""
        return np.diff(self.starts)

    @property
    def row_ids(self) -> Integers:
        """The row of each score, M."""
        return np.repeat(np.arange(self.rows), self.lengths)


def read_scored_rows(run: RunRows, model_key: str, columns: Sequence[str] = _COLUMNS) -> ScoredRows:
    """Reads the good rows of one model.

    Args:
        run: as `open_run` gives it.
        model_key: of the model.
        columns: to read; what is left out is null, but `status`, `image_uri` and `predictions`.

    Raises:
        ConfigError: the rows cannot be read.
    """
    statuses: collections.Counter[str] = collections.Counter()
    known: dict[str, int] = {}
    parts = []
    for batch in run.read(columns, model_key):
        for counted in batch["status"].value_counts().to_pylist():
            statuses[counted["values"]] += counted["counts"]
        parts.append(_take_apart(batch.filter(_is_good(batch)), known))
    return _join(parts, tuple(known), dict(statuses))


def take_rows(rows: ScoredRows, indices: Integers) -> ScoredRows:
    """Some of the rows, in the order of the indices."""
    lengths = rows.lengths[indices]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    offsets = np.repeat(rows.starts[indices] - starts[:-1], lengths)
    flat = np.arange(starts[-1]) + offsets
    return dataclasses.replace(
        rows,
        uris=rows.uris.take(indices),
        starts=starts,
        label_ids=rows.label_ids[flat],
        scores=rows.scores[flat],
        margins=rows.margins[indices],
        functions=rows.functions[indices],
        attributes=rows.attributes.take(indices),
        contents=rows.contents.take(indices),
    )


def _is_good(batch: pa.RecordBatch) -> pa.Array:
    has_labels = pc.greater(pc.list_value_length(batch["predictions"]), 0)
    return pc.and_(pc.equal(batch["status"], "ok"), has_labels)


def _to_ids(predictions: pa.Array, known: dict[str, int]) -> ShortIntegers:
    """The label ids of these predictions; labels that were not met before are added to `known`."""
    encoded = predictions.flatten().field("label").dictionary_encode()
    names = encoded.dictionary.to_pylist()
    ids = np.array([known.setdefault(name, len(known)) for name in names], np.int32)
    return ids[encoded.indices.to_numpy(zero_copy_only=False)] if names else ids


def _take_apart(good: pa.RecordBatch, known: dict[str, int]) -> _Part:
    predictions = good["predictions"]
    return _Part(
        lengths=_to_integers(pc.list_value_length(predictions)),
        label_ids=_to_ids(predictions, known),
        scores=to_floats(predictions.flatten().field("score")),
        margins=_find_margins(good),
        functions=find_functions(good),
        uris=_find_texts(good, "image_uri"),
        attributes=_find_texts(good, "attributes"),
        contents=_find_texts(good, "image_sha256"),
    )


def _join(
    parts: Sequence[_Part], labels: tuple[str, ...], statuses: Mapping[str, int]
) -> ScoredRows:
    lengths = _concatenate([part.lengths for part in parts], np.int64)
    return ScoredRows(
        labels=labels,
        uris=pa.chunked_array([part.uris for part in parts], pa.string()),
        starts=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        label_ids=_concatenate([part.label_ids for part in parts], np.int64),
        scores=_concatenate([part.scores for part in parts], np.float64),
        margins=_concatenate([part.margins for part in parts], np.float64),
        functions=_concatenate([part.functions for part in parts], np.int64),
        attributes=pa.chunked_array([part.attributes for part in parts], pa.string()),
        contents=pa.chunked_array([part.contents for part in parts], pa.string()),
        statuses=statuses,
    )


def _find_margins(batch: pa.RecordBatch) -> Floats:
    if "top_margin" not in batch.schema.names:
        return np.full(batch.num_rows, np.nan)
    return to_floats(batch["top_margin"])


def find_functions(batch: pa.RecordBatch) -> Integers:
    """What made each row's scores, by `params`: an index in `spec.FUNCTIONS`; -1 unknown, N."""
    if "params" not in batch.schema.names:
        return np.full(batch.num_rows, -1)
    names = pc.struct_field(batch["params"], "function_to_apply")
    found = pc.index_in(names, value_set=pa.array(FUNCTIONS, names.type))
    return _to_integers(pc.fill_null(found, -1))


def are_probabilities(functions: Integers) -> Booleans:
    """Whether a row's scores are probabilities, as far as that is known, N.

    Args:
        functions: as `find_functions` gives them.
    """
    found: Booleans = np.isin(functions, _OF_PROBABILITIES)
    return found


def find_certainties(scores: Floats, margins: Floats, functions: Integers) -> Floats:
    """How sure each row is, N: its margin; of one class how far its score is from undecided.

    Undecided is a probability of one half, and so 0 before a sigmoid: both are measured alike.

    Args:
        scores: the best of each row, N.
        margins: NaN where there is one class, N.
        functions: as `find_functions` gives them, N.
    """
    is_raw = functions == FUNCTIONS.index("none")
    alone = np.where(is_raw, np.tanh(np.abs(scores) / 2.0), np.abs(2.0 * scores - 1.0))
    return np.where(np.isnan(margins), alone, margins)


def _find_texts(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch[name] if name in batch.schema.names else pa.nulls(batch.num_rows, pa.string())


def _concatenate(arrays: Sequence[Any], dtype: Any) -> Any:  # noqa: ANN401  of the given dtype
    return np.concatenate(arrays, dtype=dtype) if arrays else np.zeros(0, dtype)


def to_floats(values: pa.Array) -> Floats:
    """The numbers of a column, NaN where it is null."""
    found: Floats = values.to_numpy(zero_copy_only=False)
    return found.astype(np.float64)  # of nulls only it would be objects


def _to_integers(values: pa.Array) -> Integers:
    found: Integers = values.to_numpy(zero_copy_only=False)
    return found.astype(np.int64)
