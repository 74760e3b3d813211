"""What flows through a run.

::

    ImageRef ─▶ EncodedImage ─▶ PixelArray ─▶ Prediction
        └────────────┴──────────────┴───────▶ Failure

Every element carries its `ImageRef`. A `Failure` travels in the same stream as the elements it
replaces: each stage passes it on as it is, so one image in is exactly one outcome out.
"""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from imgcls_beam.errors import ConfigError, FailureCode, ImageError, Stage
from imgcls_beam.masking import mask_uri
from imgcls_beam.scoring import AppliedParameters, Execution, SandboxState, Scoring
from imgcls_beam.spec import NO_PARAMETERS, LabelScore, Parameters

Pixels = npt.NDArray[Any]

ModelInputs = Mapping[str, Pixels]
"""What one image gives the model, by the name of the model's argument, without the batch axis.

`pixel_values` is uint8 (H, W, 3), its channels in the model's order, where the model's processor is
geometry followed by a scale and shift per channel; else it is what the processor gives, most often
float32 (3, H, W). A few processors give more beside it, e.g. `pixel_attention_mask`.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class ByteSpan:
    """An image that is a stretch of an object: a member of a tar archive.

    Attributes:
        start: first byte of the image in the object.
        end: one past its last byte.
        pieces: of a sparse member: where in the image each stored piece begins, and its length, in
            order; all else is zeros. Empty where every byte is stored.
    """

    start: int
    end: int
    pieces: tuple[tuple[int, int], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class RequestLine:
    """A request of the task: a line of a JSONL file.

    Attributes:
        start: first byte of the line in the object.
        end: one past its last byte; the line end is not in it.
    """

    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class TableCell:
    """An image that is a cell of a Parquet file.

    Attributes:
        row_group: from 0.
        row: within the row group, from 0.
        column: the column's name; of binary, or of a struct with a binary `bytes`.
    """

    row_group: int
    row: int
    column: str


Locator = ByteSpan | RequestLine | TableCell
"""Where in its object an image lies that is not an object by itself."""


def _has_text_names(attributes: object) -> bool:
    is_mapping = isinstance(attributes, Mapping)
    return is_mapping and all(isinstance(name, str) for name in attributes)  # type: ignore[attr-defined]


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRef:
    """One reference to an image: small enough to cross a shuffle.

    Attributes:
        uri: where it lies, with its scheme. For an image inside an object the object's own URI,
            `::`, and what finds it there: `…/shard.tar::a/cat.jpg`, `…/part.parquet::17`,
            `…/requests.jsonl::3`.
        version: the store's version of this content: generation, etag or modification time.
        size_bytes: its size when it was listed; None where the store does not say.
        updated_at: when the store says it was last written, UTC.
        attributes: what comes back in the row, by name: columns carried from a manifest, or
            whatever the caller gives. Values are those of JSON, dates, decimals and bytes.
        request_id: the request's own id, text or an integer as it was given.
        parameters: the request's own parameters; they override the job's.
        locator: where in its object it lies; None for an object that is the image.
        checksum: of the object's bytes as the store gave it: `md5:` and 32 hex digits, or `crc32c:`
            and base64; None where it gave none.
        signed_url: of a web address the one that opens it, where `uri` is without its signature.
            It is in no row, and two signatures of one object are one reference.
        duplicates: how many equal references were listed beside this one: of the same URI,
            attributes and request id. They are one, and have one row.
    """

    uri: str
    version: str | None = None
    size_bytes: int | None = None
    updated_at: datetime.datetime | None = None
    attributes: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)
    request_id: str | int | None = None
    parameters: Parameters = NO_PARAMETERS
    locator: Locator | None = None
    checksum: str | None = None
    duplicates: int = 0
    signed_url: str | None = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a URI that is no text, or attributes not named by texts."""
        if not isinstance(self.uri, str):
            raise ConfigError("uri", self.uri, "give a text")
        given = self.attributes
        if given is not None and not _has_text_names(given):
            raise ConfigError("attributes", given, "give a mapping whose names are texts")
        if (masked := mask_uri(self.uri)) != self.uri:
            object.__setattr__(self, "signed_url", self.uri)
            object.__setattr__(self, "uri", masked)

    @property
    def object_uri(self) -> str:
        """The object to open, with its signature: the URI itself, or what holds the image."""
        uri = self.signed_url or self.uri
        return uri if self.locator is None else uri.partition("::")[0]


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image once it was read; the lower half only once it was opened.

    Attributes:
        size_bytes: length of the encoded image.
        sha256: of the encoded image, 64 hex digits.
        width_px: upright, that is after the EXIF orientation.
        height_px: upright.
        format: Pillow's name of the format, e.g. `JPEG`.
    """

    size_bytes: int
    sha256: str
    width_px: int | None = None
    height_px: int | None = None
    format: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedImage:
    """An object as read: not trusted.

    Attributes:
        ref: where it came from.
        data: the object's bytes.
        tries: how many reads it took, from 1.
    """

    ref: ImageRef
    data: bytes
    tries: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class PixelArray:
    """An image in the model's own geometry.

    Attributes:
        ref: where it came from.
        inputs: see `ModelInputs`.
        facts: of the encoded image; None where the caller handed in an opened one.
        prepare_ms: processor time of decoding and geometry.
        sandbox: where it was decoded; None where that is not known.
    """

    ref: ImageRef
    inputs: ModelInputs
    facts: ImageFacts | None
    prepare_ms: float
    sandbox: SandboxState | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """What the model said of one image.

    Attributes:
        ref: where it came from.
        labels: best first; ties are in the order of their class index.
        margin: best score minus the second best over all classes; None for a one-label model.
        applied: the parameters in force.
        execution: of the batch.
        scoring: the model, and what the job asked of it.
        facts: of the encoded image; None where the caller handed in an opened one.
        prepare_ms: processor time of decoding and geometry.
        shared_with: URI of the image that was predicted for both, where the bytes are the same;
            None where it was this one itself.
        sandbox: where it was decoded; None where that is not known.
    """

    ref: ImageRef
    labels: tuple[LabelScore, ...]
    margin: float | None
    applied: AppliedParameters
    execution: Execution
    scoring: Scoring
    facts: ImageFacts | None = None
    prepare_ms: float | None = None
    shared_with: str | None = None
    sandbox: SandboxState | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why one image has no prediction.

    Attributes:
        ref: where it came from.
        stage: the stage that gave up.
        code: the reason, of a closed list.
        message: a stable sentence.
        tries: how often it was tried, from 1.
        retryable: whether a later run may well succeed.
        facts: what was known of the image by then.
        failed_at: UTC.
        scoring: the model that was to predict it, and what was asked; None before a model takes it.
        sandbox: where it was to be decoded; None where it did not come so far.
    """

    ref: ImageRef
    stage: Stage
    code: FailureCode
    message: str
    tries: int = 1
    retryable: bool = False
    facts: ImageFacts | None = None
    failed_at: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC)
    )
    scoring: Scoring | None = None
    sandbox: SandboxState | None = None

    @classmethod
    def from_error(
        cls,
        ref: ImageRef,
        error: ImageError,
        *,
        tries: int = 1,
        facts: ImageFacts | None = None,
    ) -> "Failure":
        """The failure that an `ImageError` means for this image."""
        return cls(
            ref=ref,
            stage=error.stage,
            code=error.code,
            message=error.message,
            tries=tries,
            retryable=error.retryable,
            facts=facts,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Skipped:
    """An image that was not looked at: an earlier run has a good row of this very content.

    Attributes:
        ref: where it lies.
        scoring: the model and parameters of that good row.
        skipped_at: UTC.
    """

    ref: ImageRef
    scoring: Scoring
    skipped_at: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC)
    )


Outcome = Prediction | Failure
