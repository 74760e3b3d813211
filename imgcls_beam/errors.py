"""What can go wrong, by whose fault.

The tree::

    ImgclsError
    ├── ConfigError           the caller: an option, an input or an output place is wrong. Exit 2.
    │   ├── RunExistsError    the run id has been used; the message names the way out
    │   └── RowsGoneError     rows of a finished run are not there any more
    ├── ModelError            the model cannot be loaded, or would predict at random. Exit 1.
    ├── SickModelError        the model or its device fails by itself; the runner tries elsewhere
    ├── StoreError            what holds the images stopped answering; nothing is published. Exit 1.
    ├── PublishError          what was written does not add up; nothing was committed. Exit 1.
    ├── GoesOnError           the job may go on without the program that started it. Exit 1.
    └── ImageError            one image: becomes that image's row and stops nothing

Whatever else is raised is a defect or a sick worker: it is not caught, and the runner retries.
Messages are stable facts. Texts of other libraries are not passed on into rows, because they hold
memory addresses and local paths.
"""

import enum

from imgcls_beam.masking import mask_secrets


class Stage(enum.StrEnum):
    """The stages of a run, in the order in which an image passes them."""

    LIST = "list"
    READ = "read"
    PREPARE = "prepare"
    PREDICT = "predict"
    ROW = "row"
    SINK = "sink"
    PUBLISH = "publish"


class FailureCode(enum.StrEnum):
    """The closed list of reasons for which one image has no prediction.

    Each code belongs to one stage, see `STAGE_OF`. A new code is a change of the contract.
    """

    INVALID_REFERENCE = "invalid_reference"
    UNLISTABLE = "unlistable"

    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    PERMISSION_DENIED = "permission_denied"
    ARCHIVED = "archived"
    UNAVAILABLE = "unavailable"
    TOO_MANY_BYTES = "too_many_bytes"
    EMPTY = "empty"
    CHANGED = "changed"
    UNREADABLE = "unreadable"

    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_SCANS = "too_many_scans"
    TOO_MUCH_MEMORY = "too_much_memory"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNPREPARABLE = "unpreparable"

    NON_FINITE_SCORE = "non_finite_score"
    INFERENCE_FAILED = "inference_failed"
    OUT_OF_MEMORY = "out_of_memory"


_CODES_OF = {
    Stage.LIST: (FailureCode.INVALID_REFERENCE, FailureCode.UNLISTABLE),
    Stage.READ: (
        *(FailureCode.INVALID_REQUEST, FailureCode.NOT_FOUND, FailureCode.PERMISSION_DENIED),
        *(FailureCode.UNAVAILABLE, FailureCode.TOO_MANY_BYTES, FailureCode.EMPTY),
        *(FailureCode.CHANGED, FailureCode.UNREADABLE, FailureCode.ARCHIVED),
    ),
    Stage.PREDICT: (
        *(FailureCode.NON_FINITE_SCORE, FailureCode.INFERENCE_FAILED, FailureCode.OUT_OF_MEMORY),
    ),
}
STAGE_OF: dict[FailureCode, Stage] = dict.fromkeys(FailureCode, Stage.PREPARE) | {
    code: stage for stage, codes in _CODES_OF.items() for code in codes
}


class ImgclsError(Exception):
    """The root: everything this package raises on purpose."""


class ConfigError(ImgclsError):
    """An option, an input or an output place is wrong; found before anything is read.

    Attributes:
        option: the option's name as the caller spells it, e.g. `top_k`.
        value: what was given.
    """

    def __init__(self, option: str, value: object, problem: str) -> None:
        """Says option, value (as its `repr`), what is wrong with it and what is allowed."""
        super().__init__(option, value, problem)
        self.option = option
        self.value = value
        self.problem = problem

    def __str__(self) -> str:
        """One sentence: option, value without the secrets of URLs, problem."""
        return f"{self.option}={mask_secrets(repr(self.value))}: {self.problem}"


class RunExistsError(ConfigError):
    """The run id has been published before."""


class RowsGoneError(ConfigError):
    """A finished run's record is there, and its rows are not, or not all of them."""


class ModelError(ImgclsError):
    """The model cannot be loaded, or would predict at random. Nothing was predicted yet."""


class SickModelError(ImgclsError):
    """The model is not what it was when it was loaded: no image is to blame. The runner retries."""


class StoreError(ImgclsError):
    """A store has stopped answering while a run read from it, so the run was ended."""


class PublishError(ImgclsError):
    """Rows, files and counts do not add up, so the run was not committed."""


class GoesOnError(ImgclsError):
    """The job may go on elsewhere, without the program that began it; it keeps what it wrote."""


class ImageError(ImgclsError):
    """One image cannot be read, prepared or predicted; becomes its row.

    Attributes:
        code: the reason.
        message: a stable sentence for people; no address, no path, no text of another library.
        retryable: whether the same object may well succeed in a later run.
    """

    def __init__(self, code: FailureCode, message: str, *, retryable: bool = False) -> None:
        """Keeps the reason in both forms, for programs and for people."""
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = retryable

    @property
    def stage(self) -> Stage:
        """The stage to which the code belongs."""
        return STAGE_OF[self.code]

    def __str__(self) -> str:
        """`code: message`."""
        return f"{self.code}: {self.message}"
