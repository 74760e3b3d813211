"""Takes the trials of the tables in turn, each as a process of its own."""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from bench import far_store, models, runs
from bench.gallery import Gallery
from bench.tables import Table, Trial
from bench.ways import PIPELINE, PIPELINE_SIZES, Place, Way

MOST_OTHERS = 0.15
"""Cores that others may use beside a run: with more it is measured again."""

_SEARCHED_IMAGES = 32
_MOST_RUNS = 3
"""Of one trial in one round; where all were disturbed the least disturbed one counts."""
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # everything lies on this machine: nobody has to ask the hub
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # which the job sets for itself
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What came of a table.

    Attributes:
        table: what was measured.
        best_size: the batch size with which the pipeline was fastest.
        runs: by the name of the row, one for each round.
        obstacles: why other rows were not measured.
        stages: rates of the job's stages by themselves, by name and unit, if asked for.
    """

    table: Table
    best_size: int
    runs: dict[str, list[runs.Run]]
    obstacles: dict[str, str]
    stages: dict[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """Where trials run.

    Attributes:
        folder: takes everything.
        gallery: the pictures.
        say: tells a person how far it is.
    """

    folder: pathlib.Path
    gallery: Gallery
    say: Callable[[str], object]

    def measure(self, table: Table) -> Result:
        """Runs all trials of a table, round by round: a drift of the machine hits all alike."""
        needs_inputs = any(each.way.kind == "loop" for each in table.trials)
        model, inputs = self._find_model(table.model, needs_inputs)
        reasons = {each.title: each.way.find_obstacle() for each in table.trials}
        obstacles = {name: reason for name, reason in reasons.items() if reason}
        best_size = self._find_best_size(table, model)
        if any(each.way.kind == "job" and not each.is_fresh for each in table.trials):
            self._get_to_know(model)
        found: dict[str, list[runs.Run]] = {}
        for turn, trial in itertools.product(range(table.rounds), table.trials):
            if trial.title in obstacles:
                continue
            self.say(f"{table.title}: round {turn + 1} of {table.rounds}: {trial.title}")
            try:
                run = self._take_calm(trial, Place("", model, inputs, best_size, self._cache))
            except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
                obstacles[trial.title] = f"failed: {' '.join(str(error).split())[-200:]}"
                self.say(f"{trial.title}: {error}")
            else:
                found.setdefault(trial.title, []).append(run)
        whole = {name: each for name, each in found.items() if name not in obstacles}
        stages = self._measure_stages(table, model) if table.kind == "profile" else {}
        return Result(table, best_size, whole, obstacles, stages)

    def _take_calm(self, trial: Trial, place: Place) -> runs.Run:
        """A run beside which others used little."""
        found: list[runs.Run] = []
        while len(found) < _MOST_RUNS:
            found.append(self._take(trial, place))
            if not found[-1].others > MOST_OTHERS:  # nor where it is not known
                return found[-1]
            self.say(f"{trial.title}: others used {found[-1].others:.2f} cores")
        return min(found, key=lambda run: run.others)

    def _get_to_know(self, model: pathlib.Path) -> None:
        """Finds out which engine is faster, as a long first run does beside its work."""
        environment = {"IMGCLS_CACHE": str(self._cache)}
        self.say(f"imgcls doctor --model={model}")
        _run([sys.executable, "-m", "pipelines", "doctor", f"--model={model}"], environment)

    @property
    def _cache(self) -> pathlib.Path:
        return self.folder / "cache"

    def _take(self, trial: Trial, place: Place) -> runs.Run:
        images = self.gallery.find(trial.pictures, trial.count)
        with contextlib.ExitStack() as held:
            environment = dict(_ENVIRONMENT)
            url = str(images)
            if trial.is_far:
                url, more = held.enter_context(far_store.serve(images))
                environment |= more
            cache = self.folder / "cache-of-one" if trial.is_fresh else place.cache
            environment["IMGCLS_CACHE"] = str(cache)
            output = held.enter_context(_make_output(self.folder))
            placed = dataclasses.replace(place, images=url)
            if trial.is_fresh:
                held.callback(shutil.rmtree, cache, ignore_errors=True)
            run = runs.run_way(trial.way.make_command(placed, output), output, environment)
        if run.images != trial.count:
            raise ValueError(f"{run.images} rows of {trial.count} images")
        return run

    def _find_model(self, name: str, needs_inputs: bool) -> tuple[pathlib.Path, pathlib.Path]:
        """The model's folder, and what loops know of it; each is made in a process of its own."""
        made = self.folder / "models"
        model = models.locate(name, made)
        if not model.exists():
            self._call("bench.models", name, str(made))
        inputs = self.folder / "inputs" / model.name
        if needs_inputs and not inputs.exists():
            self._call("bench.loop_inputs", str(model), str(inputs))
        return model, inputs / "inputs.pickle"

    def _find_best_size(self, table: Table, model: pathlib.Path) -> int:
        """The batch size with which the pipeline is fastest; the smallest where nobody asks."""
        asked = [each for each in table.trials if each.way == PIPELINE]
        if not asked or asked[0].way.find_obstacle() or asked[0].count < _SEARCHED_IMAGES:
            return PIPELINE_SIZES[0]
        self.say(f"{table.title}: looking for the pipeline's best batch size")
        count = min(_SEARCHED_IMAGES, asked[0].count)
        images = str(self.gallery.find(asked[0].pictures, count))
        way = dataclasses.replace(asked[0].way, flags=("--search", *map(str, PIPELINE_SIZES)))
        place = Place(images, model, pathlib.Path(), 1, self._cache)
        return int(_call(way, place, self.folder / "unused"))

    def _measure_stages(self, table: Table, model: pathlib.Path) -> dict[str, float]:
        images = self.gallery.find(table.trials[0].pictures, table.trials[0].count)
        rates: dict[str, float] = json.loads(
            self._call("bench.stages", str(images), str(model)).splitlines()[-1]
        )
        return rates

    def _call(self, module: str, *arguments: str) -> str:
        self.say(f"python -m {module} {' '.join(arguments)}")
        return _run([sys.executable, "-m", module, *arguments])


def _call(way: Way, place: Place, output: pathlib.Path) -> str:
    return _run(way.make_command(place, output)).strip().splitlines()[-1]


def _run(command: list[str], more: Mapping[str, str] = MappingProxyType({})) -> str:
    """What a program prints, with more variables in its environment.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, **_ENVIRONMENT, **more}
    done = subprocess.run(
        command, cwd=runs.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def _make_output(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A place for a way to write to, gone afterwards."""
    scratch = folder / "scratch"
    scratch.mkdir()
    try:
        yield scratch / "out"
    finally:
        shutil.rmtree(scratch)
