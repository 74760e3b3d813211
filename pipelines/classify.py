"""Classifies images of folders, buckets, manifests and requests into Parquet rows.

::

    imgcls classify --input=photos/ --output=out/
    imgcls classify --input='gs://bucket/2026/**/*.jpg' --output=gs://bucket/labels --top_k=3
    imgcls classify --requests=requests.jsonl --output_jsonl=responses.jsonl
    imgcls classify --input=gs://bucket/photos --output=gs://bucket/labels --only=new \
        --run_id=nightly-{run_date} --if_exists=replace

One command is one run: `OUT/predictions/…/run_id=…/part-*.parquet`, and `OUT/runs/<run_id>.json`,
written last, which says that the run is complete.
"""

import sys
from collections.abc import Sequence

from .program import run_program


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code."""
    return run_program("classify", "flags", argv)


if __name__ == "__main__":
    sys.exit(main())
