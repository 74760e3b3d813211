"""Fuzzes `targets.images`."""

import sys

import atheris

with atheris.instrument_imports(include=["fuzz", "imgcls_beam", "PIL"]):
    from fuzz.targets import images

if __name__ == "__main__":
    atheris.Setup(sys.argv, images)
    atheris.Fuzz()
