"""What the programs that run a job have in common: flags in, exit code out."""

import datetime
import functools
import importlib
import sys
from collections.abc import Sequence

from imgcls_beam.errors import ConfigError, ImgclsError

from . import beam_imports, preflight, startup, terminal

_DONE, _FAILED, _USAGE, _TOO_MANY_ERRORS = 0, 1, 2, 3


def run_program(name: str, flags_module: str, argv: Sequence[str] | None) -> int:
    """Parses flags, runs the job, and says in one sentence what went wrong.

    Args:
        name: of the program.
        flags_module: the module of this package whose `parse_flags` gives a job and the arguments
            for Beam.
        argv: without the program's name; None for that of the process.

    Returns:
        The exit code.
    """
    startup.set_up()
    parse_flags = importlib.import_module(f".{flags_module}", __package__).parse_flags
    started_at = datetime.datetime.now(datetime.UTC)
    try:
        options, beam_arguments = parse_flags(sys.argv[1:] if argv is None else argv)
        preflight.check_flags(options, beam_arguments)
        with startup.pause_collector():
            beam_imports.import_beam(beam_arguments)  # only now: no refusal waits for Beam
            from . import display, job, run_report

        ended = job.run(options, beam_arguments, started_at)
    except ImgclsError as error:
        sys.stderr.write(f"imgcls {name}: {terminal.escape(str(error))}\n")
        return _USAGE if isinstance(error, ConfigError) else _FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"imgcls {name}: interrupted; nothing was published\n")
        return _FAILED
    if ended is None:
        return _DONE
    terminal.say(functools.partial(display.describe_end, ended, options.output))
    run_report.write_after(options.output)
    return _TOO_MANY_ERRORS if ended.error_ratio > options.max_error_ratio else _DONE
