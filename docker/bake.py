"""Fetches a model into the image: `bake.py MODEL [REVISION]`; an empty MODEL fetches nothing."""

import sys
from collections.abc import Sequence

from imgcls_beam.models import fetch_model, resolve_model


def main(argv: Sequence[str]) -> int:
    """Fetches; returns 0.

    Raises:
        ImgclsError: there is no such model, or it cannot be fetched.
    """
    model, revision = (*argv, "", "")[:2]
    if model:
        source = resolve_model(model, revision or None)
        print(f"{source.model_id} at {source.revision}: {fetch_model(source)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
