"""Writes docs/models.md; see the package."""

import pathlib
import sys
import tempfile

import transformers

from tests.families.comparing import compare_family, write_images
from tests.families.page import PAGE, make_page
from tests.families.table import FAMILIES


def main() -> int:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        images = write_images(pathlib.Path(scratch) / "images")
        for family in FAMILIES:
            if family.missing is None:
                result = compare_family(family, images, pathlib.Path(scratch))
                sys.stderr.write(f"{family.model_class}: {result.difference:.1e}\n")
                results[family.model_class] = result
    PAGE.write_text(make_page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
