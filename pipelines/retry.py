"""Tries again what failed in a published run; its error rows give way to the new rows.

::

    imgcls retry --output=out/ --run_id=nightly-2026-11-23
    imgcls retry --output=gs://bucket/labels --run_id=r1 --max_image_pixels=200000000

The run record says what was listed and how it was classified, so nothing else has to be given.
Model, parameters and limits are the run's own; a flag that is given wins.
Images that are no longer listed keep their error rows.
"""

import sys
from collections.abc import Sequence

from .program import run_program


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code."""
    return run_program("retry", "retry_flags", argv)


if __name__ == "__main__":
    sys.exit(main())
