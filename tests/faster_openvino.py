"""The process that tries OpenVINO, where OpenVINO is faster; see `trial_process`."""

import pathlib
import sys
from typing import Any

from imgcls_beam.classifying import deciding
from imgcls_beam.classifying.openvino_running import OpenVinoRunner
from imgcls_beam.classifying.trial_process import main


def _measure(run: Any) -> float:
    return 2.0 if isinstance(run.func.__self__, OpenVinoRunner) else 1.0


if __name__ == "__main__":
    deciding._measure = _measure  # type: ignore[assignment]
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
