"""What of a job is in the run record."""

import dataclasses
import os
from typing import Any

from imgcls_beam.options import JobOptions

from .locating import make_absolute


def describe_job(job: JobOptions) -> dict[str, Any]:
    """The configuration as it is in the run record: what decides over the rows.

    Two jobs of equal configuration are one job at two times: neither the run's name nor its start
    is in it, and not where it runs. So paths are absolute: a retry may be started elsewhere.
    """
    described = dataclasses.asdict(job)
    del described["output"], described["accelerator"], described["input"]["allow_empty"]
    del described["decode"]["sandbox"]
    images = described["input"]
    del images["own_output"]
    if job.compare_with is None:
        del described["compare_with"]
    for name in ("inputs", "requests"):
        images[name] = [make_absolute(each) for each in images[name]]
    if images["manifest"] is not None:
        images["manifest"]["url"] = make_absolute(images["manifest"]["url"])
    for model in (described["model"], described.get("compare_with")):
        if model is not None and os.path.isdir(model["model"]):
            model["model"] = make_absolute(model["model"])
    return described
