"""How often a program and its workers load a model: noted by a module that Python imports first."""

import collections
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parents[1]

_SITECUSTOMIZE = """
import importlib.util, os, sys

WATCHED = "imgcls_beam.classifying.protocol"

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        spec.loader.exec_module = watch(spec.loader.exec_module)
        return spec

def watch(exec_module):
    def exec_and_watch(module):
        exec_module(module)
        load = module._load
        def note(spec, *given):
            with open(os.environ["NOTE_OF_LOADS"], "a") as file:
                file.write(f"{os.getpid()} {os.path.basename(spec.source.location)}\\n")
            return load(spec, *given)
        module._load = note
    return exec_and_watch

sys.meta_path.insert(0, Finder())
"""


def count_loads(arguments: Sequence[str], folder: pathlib.Path) -> dict[str, list[int]]:
    """Runs `python ARGUMENTS`, which must end well.

    Returns:
        By the name of a model's folder, how often each process that loaded it did so, largest
        first.
    """
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    note = folder / "loads"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "NOTE_OF_LOADS": str(note)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loads: dict[str, list[int]] = collections.defaultdict(list)
    for line, count in collections.Counter(note.read_text().splitlines()).most_common():
        loads[line.split()[1]].append(count)
    return loads
