"""Measures and prints; see the package's docstring for commands."""

import argparse
import pathlib
import signal
import sys
import tempfile
from collections.abc import Sequence

from bench import models, page, tables
from bench.answers import compare
from bench.gallery import Gallery
from bench.running import Bench, Result

_PAGE = pathlib.Path(__file__).parents[1] / "docs" / "performance.md"
_QUICK_IMAGES = 32
_MANY = (1_000, 10_000)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 where the job failed, or its scores are not the pipeline's."""
    parser = _make_parser()
    flags = parser.parse_args(argv)
    if flags.images < _QUICK_IMAGES or flags.rounds < 1:
        parser.error(f"allowed: {_QUICK_IMAGES} images or more, 1 round or more")
    signal.signal(signal.SIGTERM, _leave)
    lines = page.describe_start()
    _write(lines)
    is_well = True
    with tempfile.TemporaryDirectory(prefix="imgcls-bench-") as folder:
        drawn = _QUICK_IMAGES if flags.quick else flags.images
        gallery = Gallery(pathlib.Path(folder), drawn, flags.large_images)
        bench = Bench(pathlib.Path(folder), gallery, _say)
        for table in _choose_tables(flags):
            result = bench.measure(table)
            is_well &= is_right(result)
            described = page.describe_result(result)
            _write(described)
            lines += described
            if flags.write:  # now, not at the end: what was measured is kept
                _PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return 0 if is_well else 1


def is_right(result: Result) -> bool:
    """Whether every job ran, and gave the reference's scores where it is to give them."""
    jobs = [each for each in result.table.trials if each.way.kind == "job"]
    if any(result.obstacles.get(each.title, "").startswith("failed") for each in jobs):
        return False
    reference = page.find_reference(result)
    exact = [run for each in jobs if each.way.is_exact for run in result.runs.get(each.title, ())]
    return reference is None or all(compare(run.answers, reference.answers).holds for run in exact)


def _choose_tables(flags: argparse.Namespace) -> list[tables.Table]:
    if flags.quick:
        return [tables.make_quick_table(_QUICK_IMAGES)]
    plan = tables.Plan(
        models=tuple(flags.model or models.NAMES),
        kinds=tuple(flags.table or tables.KINDS),
        images=flags.images,
        large=flags.large_images,
        many=_MANY,
        rounds=flags.rounds,
    )
    return tables.make_tables(plan)


def _leave(signal_number: int, _frame: object) -> None:
    """Ends the program by an exception, so that the temporary folder is removed."""
    sys.exit(128 + signal_number)


def _say(what: str) -> None:
    sys.stderr.write(f"bench: {what}\n")
    sys.stderr.flush()


def _write(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="The job beside its peers and beside loops that are written by hand.",
    )
    add = parser.add_argument
    named = f"{', '.join(models.NAMES)} or a folder; repeatable (all of them)"
    add("--model", action="append", metavar="M", help=named)
    add("--table", action="append", choices=tables.KINDS, help="which; repeatable (all of them)")
    add("--images", type=int, default=450, metavar="N", help="how many photographs (450)")
    add("--large_images", type=int, default=120, metavar="N", help="of 12 megapixels (120)")
    add("--rounds", type=int, default=3, metavar="R", help="how often each is measured (3)")
    add("--write", action="store_true", help="write docs/performance.md too")
    add("--quick", action="store_true", help="a look only: the demo's model, without peers")
    return parser


if __name__ == "__main__":
    sys.exit(main())
