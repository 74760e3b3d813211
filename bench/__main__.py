"""Measures and prints; see the package's docstring for commands."""

import argparse
import os
import pathlib
import signal
import sys
import tempfile
from collections.abc import Sequence

from bench import models


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 where the job's answers differ from the pipeline's."""
    parser = _make_parser()
    flags = parser.parse_args(argv)
    if flags.images < 2 or flags.rounds < 1:
        parser.error("allowed: 2 images or more, 1 round or more")
    # Everything lies on this machine: nobody has to ask the hub for it.
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    from pipelines import startup

    startup.set_up()  # before Beam is imported, which logs meanwhile
    from bench import running

    signal.signal(signal.SIGTERM, _leave)
    settings = running.Settings(**vars(flags))
    with tempfile.TemporaryDirectory(prefix="imgcls-bench-") as folder:
        return 0 if running.run(settings, pathlib.Path(folder)) else 1


def _leave(signal_number: int, _frame: object) -> None:
    """Ends the program by an exception, so that the temporary folder is removed."""
    sys.exit(128 + signal_number)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Images/s of the job and of each of its stages, beside transformers' pipeline.",
    )
    add = parser.add_argument
    add("--images", type=int, default=300, metavar="N", help="how many pictures (300)")
    add("--model", default="vit-192", metavar="M", help=f"{', '.join(models.NAMES)} or a folder")
    add("--rounds", type=int, default=3, metavar="R", help="how often each is measured (3)")
    add("--batch_size", type=int, metavar="N", help="of the job (its default)")
    add("--quick", action="store_true", help="a look only: short repeats, no 50,000-row sinks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
