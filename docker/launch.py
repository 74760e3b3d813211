"""What the Flex Template's launcher starts: `imgcls classify` with the template's parameters."""

import sys

from imgcls_beam.pipelines.classify import main

if __name__ == "__main__":
    sys.exit(main())
