"""The flag that would help where one stage of a run is the slowest."""

from imgcls_beam.classifying.cpu import has_bfloat16, may_have_cuda
from imgcls_beam.errors import Stage
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.options import JobOptions
from imgcls_beam.slowest import Cause, Slowest


def describe_slowest(slowest: Slowest, job: JobOptions) -> str:
    """The slowest stage, its share of the time, and what would help."""
    return f"slowest: {slowest.stage}, {slowest.share:.0%} of the time; {advise(slowest, job)}"


def advise(slowest: Slowest, job: JobOptions) -> str:
    """What would help, as a flag wherever there is one."""
    if slowest.cause is Cause.ERRORS:
        return "most images fail: stop, and see the reasons with --limit=20"
    if slowest.cause is Cause.ONE_IMAGE:
        what = f"one image takes {slowest.longest_s:.0f} s"
        return f"{what}; --max_image_pixels=N makes such an image an error row"
    if slowest.stage is Stage.LIST:
        return "--input_manifest names the images without a listing"
    if slowest.stage is Stage.READ:
        return f"try --read_concurrency={2 * job.read.concurrency}, or a place nearer to the store"
    if slowest.stage is Stage.PREPARE:
        is_fast = job.decode.preprocess == "fast"
        return "a machine of more cores" if is_fast else "try --preprocess=fast"
    if slowest.stage is Stage.PREDICT:
        return _advise_model(job.model)
    return "try an --output that is nearer"


def _advise_model(model: ModelOptions) -> str:
    if model.device != "cpu" and may_have_cuda():
        is_half = model.dtype in ("bfloat16", "float16")
        return "a smaller --model" if is_half else "try --dtype=bfloat16"
    if model.dtype in ("auto", "float32") and has_bfloat16():
        return "try --dtype=bfloat16, or a machine with a GPU"
    return "a smaller --model, or a machine with a GPU"
