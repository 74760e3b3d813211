"""How near the time that `imgcls plan` names is to that of the run which follows.

::

    python -m bench.plans
    python -m bench.plans --rounds=5 --set=photographs

Three sets: small pictures with the demo's model; photographs with a ViT of hidden size 192; a
manifest with duplicates, several lines for one image, files that are missing or broken, and images
that a run before has scored. Each round plans a run and then runs it, each as a process of its own:
what else goes on in the machine changes from minute to minute. The bar is 25 %.
"""

import argparse
import csv
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from bench import models
from bench.images import make_images
from bench.measuring import OthersWatch
from demo.draw import draw_numbered

_BAR = 0.25
_SMALL, _PHOTOGRAPHS = 300, 200
_SEED = 5
_KEPT_BYTES = 2000

Flags = list[str]
MakeSet = Callable[[pathlib.Path], Flags]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table; returns 1 where a ratio is beyond the bar."""
    parser = argparse.ArgumentParser(prog="python -m bench.plans", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", choices=tuple(_SETS), dest="names")
    asked = parser.parse_args(argv)
    print(f"{'set':<14}{'planned s':>12}{'took s':>12}{'ratio':>9}{'others':>9}")  # noqa: T201
    found = [_measure_set(name, asked.rounds) for name in asked.names or tuple(_SETS)]
    return int(any(abs(ratio - 1) > _BAR for ratio in found))


def _measure_set(name: str, rounds: int) -> float:
    """The median ratio of planned to taken seconds; each round is a line."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = pathlib.Path(temporary)
        flags = _SETS[name](folder)
        _run("plan", *flags)  # what is found out about a model once, is
        ratios = [_measure_round(name, folder, flags, index) for index in range(rounds)]
    ratio = statistics.median(ratios)
    print(f"{name:<14}{'median':>24}{ratio:>9.2f}", flush=True)  # noqa: T201
    return ratio


def _measure_round(name: str, folder: pathlib.Path, flags: Flags, index: int) -> float:
    watch, start_s = OthersWatch(), _count_own_s()
    planned = json.loads(_run("plan", *flags, "--json"))
    total_s = statistics.mean(planned["estimates"][0]["total_s"])
    before_s = time.perf_counter()
    _run("classify", *flags, f"--run_id=round-{index}", "--if_exists=replace")
    took_s = time.perf_counter() - before_s
    _drop_run(folder / "out", f"round-{index}")
    busy = watch.count_cores(_count_own_s() - start_s)
    print(  # noqa: T201
        f"{name:<14}{total_s:>12.1f}{took_s:>12.1f}{total_s / took_s:>9.2f}{busy:>9.2f}", flush=True
    )
    ratio: float = total_s / took_s
    return ratio


def _count_own_s() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def _run(program: str, *flags: str) -> str:
    """What a program says on standard output."""
    command = [sys.executable, "-m", "pipelines", program, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"{program}: {done.stderr}")
    return done.stdout


def _drop_run(output: pathlib.Path, run_id: str) -> None:
    """Takes a run away, so that the next round finds what this one found."""
    (output / "runs" / f"{run_id}.json").unlink(missing_ok=True)
    for folder in output.glob(f"predictions/*/*/run_id={run_id}"):
        shutil.rmtree(folder)


def _make_pictures(folder: pathlib.Path) -> Flags:
    (folder / "images").mkdir()
    for number in range(_SMALL):
        draw_numbered(_SEED, number)[1].save(folder / "images" / f"{number:03d}.jpg")
    return _to_flags(folder, models.DEMO, f"--input={folder / 'images'}")


def _make_photographs(folder: pathlib.Path) -> Flags:
    make_images(folder / "images", _PHOTOGRAPHS)
    model = models.make_model(folder / "model", "vit-192")
    return _to_flags(folder, model, f"--input={folder / 'images'}")


def _make_manifest(folder: pathlib.Path) -> Flags:
    """Of 200 photographs a run has scored 60; others have two lines, or the same line twice."""
    paths = make_images(folder / "images", _PHOTOGRAPHS)
    model = models.make_model(folder / "model", "vit-192")
    _write_lines(folder / "scored.csv", [(path, 0) for path in paths[:60]])
    _run("classify", *_to_flags(folder, model, *_read_lines(folder / "scored.csv")))
    for path in paths[60:70]:
        path.write_bytes(path.read_bytes()[:_KEPT_BYTES])
    gone = [folder / f"gone-{index}.jpg" for index in range(10)]
    lines = [(path, 0) for path in (*paths, *gone)]
    lines += [(path, 1) for path in paths[100:150]] + [(path, 0) for path in paths[150:]]
    _write_lines(folder / "lines.csv", lines)
    return [*_to_flags(folder, model, *_read_lines(folder / "lines.csv")), "--only=new"]


def _write_lines(path: pathlib.Path, lines: Sequence[tuple[pathlib.Path, int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("uri", "shelf"), *lines])


def _read_lines(path: pathlib.Path) -> Flags:
    return [f"--input_manifest={path}", "--uri_column=uri", "--carry_columns=shelf"]


def _to_flags(folder: pathlib.Path, model: pathlib.Path, *images: str) -> Flags:
    own = (f"--model={model}", f"--output={folder / 'out'}", "--max_error_ratio=1")
    return [*images, *own]


_SETS: dict[str, MakeSet] = {
    "pictures": _make_pictures,
    "photographs": _make_photographs,
    "manifest": _make_manifest,
}


if __name__ == "__main__":
    sys.exit(main())
