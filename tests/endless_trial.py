"""The process that tries OpenVINO, and never comes to an end by itself; see `trial_process`."""

import pathlib
import sys
import time

from imgcls_beam.classifying import trial_process


def _wait(_: pathlib.Path) -> None:
    time.sleep(3600)


if __name__ == "__main__":
    trial_process.read_asked = _wait  # type: ignore[assignment]
    trial_process.main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
