"""`imgcls` that tries twice to read what fails, and hardly waits: `python -m tests.impatient`."""

import functools
import sys

from pipelines import flags
from pipelines.__main__ import main

if __name__ == "__main__":
    flags.ReadOptions = functools.partial(flags.ReadOptions, tries=2, first_wait_s=0.1)
    sys.exit(main(sys.argv[1:]))
