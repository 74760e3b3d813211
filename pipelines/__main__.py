"""`imgcls PROGRAM …`: the programs of this package.

::

    imgcls classify --input photos/ --output out/
    imgcls classify --help
    imgcls doctor --model demo/model --input photos/ --parity 20
"""

import difflib
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator, Sequence

from imgcls_beam import __version__

from . import terminal

_PROGRAMS = (
    *("classify", "retry", "plan", "report", "evaluate", "compare", "review", "sql", "doctor"),
    "template",
)

_COMPLETION = "--completion"

_USAGE = """\
usage: imgcls PROGRAM [--flag=value …]
       imgcls --version
       imgcls --completion bash|zsh|tcsh

programs:
  classify   images of folders, buckets, manifests, requests -> Parquet rows
  retry      what failed in a published run, again
  plan       what a job would do, and how long it would take; nothing is written
  report     one HTML file of a run: its images, labels, errors, what changed
  sql        a query over published runs, or the views to make in a warehouse
  evaluate   a run against the truth: accuracy, labels, calibration, thresholds
  compare    two runs or models: agreement, changed labels, score shift
  review     the images whose labelling helps most, for labelling tools
  doctor     checks machine, model, input and output; compares with the reference
  template   the commands that build and launch the Dataflow Flex Template

`imgcls PROGRAM --help` lists its flags.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one program; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        shown = terminal.print_answer("imgcls", _USAGE)
        return shown if arguments else 2
    if arguments[0] == "--version":
        return terminal.print_answer("imgcls", "\n".join(_name_versions()) + "\n")
    if arguments[0].partition("=")[0] == _COMPLETION:
        return _complete("=".join(arguments).partition("=")[2])
    if arguments[0] not in _PROGRAMS:
        near = difflib.get_close_matches(arguments[0], _PROGRAMS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(_PROGRAMS)}"
        sys.stderr.write(f"imgcls: there is no program {arguments[0]!r}; {advice}\n")
        return 2
    try:
        program = importlib.import_module(f".{arguments[0]}", __package__)
        code: int = program.main(arguments[1:])
    except KeyboardInterrupt:  # before the program could look after it
        sys.stderr.write(f"imgcls {arguments[0]}: interrupted; nothing was done yet\n")
        return 1
    return code


def _complete(shell: str) -> int:
    """Prints what a shell needs to complete the programs; returns the exit code."""
    from imgcls_beam.errors import ConfigError

    from .completion import render_completion

    try:
        text = render_completion(_PROGRAMS, shell)
    except ConfigError as error:
        sys.stderr.write(f"imgcls: {error}\n")
        return 2
    return terminal.print_answer("imgcls", text)


def _name_versions() -> Iterator[str]:
    """Ours and those of the libraries that a score depends on, without importing them."""
    yield f"imgcls_beam {__version__}"
    for name in ("apache-beam", "transformers", "torch"):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{name} is not installed"


if __name__ == "__main__":
    sys.exit(main())
