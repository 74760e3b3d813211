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
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgcls_beam.errors import ConfigError, ImgclsError

from . import beam_imports, plan_flags, preflight, startup, terminal

if TYPE_CHECKING:
    from imgcls_beam.planning import Plan

_DONE, _FAILED, _USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the plan, and prints it; returns the exit code."""
    startup.set_up()
    try:
        asked = plan_flags.parse_flags(sys.argv[1:] if argv is None else argv)
        preflight.check_flags(asked.job, asked.beam_arguments)
        with startup.pause_collector():
            beam_imports.import_beam(asked.beam_arguments)  # only now: no refusal waits for Beam
            from . import plan_making
        plan = plan_making.make_plan(asked)
    except ImgclsError as error:
        sys.stderr.write(f"imgcls plan: {terminal.escape(str(error))}\n")
        return _USAGE if isinstance(error, ConfigError) else _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("imgcls plan: interrupted; there is nothing to clear away\n")
        return _FAILED
    terminal.say(lambda: _describe(plan, asked))
    return _DONE


def _describe(plan: "Plan", asked: argparse.Namespace) -> str:
    from imgcls_beam.planning import describe_plan

    from .plan_text import write_plan

    if asked.json:
        return json.dumps(describe_plan(plan), ensure_ascii=False) + "\n"
    return write_plan(plan)


if __name__ == "__main__":
    sys.exit(main())
