"""Says what a job would do, and how long it would take: the flags of `classify`, nothing written.

::

    imgcls plan --input=photos/ --output=out/
    imgcls plan --input='gs://bucket/2026/**/*.jpg' --output=gs://bucket/labels --only=new
    imgcls plan --input=gs://bucket/photos --dtype=bfloat16 --gpu=l4 --price_per_hour=1.10
    imgcls plan --input=photos/ --model=owner/model --preprocess=fast --json

It lists what the job would list, reads and predicts 32 images of that, drawn at random, and starts
the job once with one image, into a folder that is gone at once.
"""

import argparse
import functools
import sys
from collections.abc import Sequence

from . import beam_imports, plan_flags, preflight, startup, terminal
from .program import DONE, Fields, run_main

_INTERRUPTED = "interrupted; nothing was written, so there is nothing to clear away"


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the plan, and prints it; returns the exit code."""
    return run_main("plan", argv, _act, _INTERRUPTED)


def _act(words: list[str], how: argparse.Namespace) -> tuple[int, Fields | None]:
    asked = plan_flags.parse_flags(words)
    preflight.check_flags(asked.job, asked.beam_arguments)
    with startup.pause_collector():
        beam_imports.import_beam(asked.beam_arguments)  # only now: no refusal waits for Beam
        from imgcls_beam.planning import describe_plan

        from . import plan_making, plan_text
    plan = plan_making.make_plan(asked)
    if not how.json:
        terminal.say(functools.partial(plan_text.write_plan, plan))
    return DONE, functools.partial(describe_plan, plan)


if __name__ == "__main__":
    sys.exit(main())
