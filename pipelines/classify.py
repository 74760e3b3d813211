"""Classifies images of folders, buckets, manifests and requests into Parquet rows.

::

    imgcls classify --input=photos/ --output=out/
    imgcls classify --input='gs://bucket/2026/**/*.jpg' --output=gs://bucket/labels --top_k=3
    imgcls classify --requests=requests.jsonl --output_jsonl=responses.jsonl

One command is one run: `OUT/predictions/…/run_id=…/part-*.parquet`, and `OUT/runs/<run_id>.json`,
written last, which says that the run is complete.
"""

import datetime
import sys
from collections.abc import Sequence

from imgcls_beam.errors import ConfigError, ImgclsError

from . import startup

_DONE, _FAILED, _USAGE, _TOO_MANY_ERRORS = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code."""
    startup.set_up()
    from . import display, flags, job  # only now: these import Beam, which logs meanwhile

    started_at = datetime.datetime.now(datetime.UTC)
    try:
        options, beam_arguments = flags.parse_flags(sys.argv[1:] if argv is None else argv)
        ended = job.run(options, beam_arguments, started_at)
    except ImgclsError as error:
        sys.stderr.write(f"imgcls classify: {display.escape(str(error))}\n")
        return _USAGE if isinstance(error, ConfigError) else _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("imgcls classify: interrupted; nothing was published\n")
        return _FAILED
    if ended is None:
        return _DONE
    sys.stdout.write(display.describe_end(ended, options.output))
    return _TOO_MANY_ERRORS if ended.error_ratio > options.max_error_ratio else _DONE


if __name__ == "__main__":
    sys.exit(main())
