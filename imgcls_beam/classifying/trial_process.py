"""The process that tries OpenVINO; see `trial`. Heavy, once it runs.

::

    python -m imgcls_beam.classifying.trial_process FILE NICENESS

It says nothing: what it finds is in the cache folder. Standard input is a pipe that nothing is
written to; its end is that of who started this process, and then this one ends too.
"""

import contextlib
import os
import pathlib
import sys
import threading

from imgcls_beam.classifying.trial_child import read_asked
from imgcls_beam.library_imports import leave_out_unused


def main(path: pathlib.Path, niceness: int) -> None:
    """Keeps which engine is faster, and OpenVINO's graph where it is that one.

    Args:
        path: as `write_asked` wrote it; is removed.
        niceness: how readily it leaves the processor to others.
    """
    threading.Thread(target=_end_with_starter, daemon=True).start()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(niceness)
    spec, key, probes = read_asked(path)
    path.unlink(missing_ok=True)
    leave_out_unused()
    from imgcls_beam.classifying.deciding import decide
    from imgcls_beam.classifying.huggingface import load_plain

    count = len(next(iter(probes.values())))
    inputs = [{name: each[index] for name, each in probes.items()} for index in range(count)]
    decide(load_plain(spec, lambda _: inputs), key)


def _end_with_starter() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1 << 10):
            pass
    os._exit(1)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
