"""Fuzzes `targets.exif`."""

import sys

import atheris

with atheris.instrument_imports(include=["fuzz", "imgcls_beam", "PIL"]):
    from fuzz.targets import exif

if __name__ == "__main__":
    atheris.Setup(sys.argv, exif)
    atheris.Fuzz()
