"""Fuzzes `targets.uris`."""

import sys

import atheris

with atheris.instrument_imports(include=["fuzz", "imgcls_beam"]):
    from fuzz.targets import uris

if __name__ == "__main__":
    atheris.Setup(sys.argv, uris)
    atheris.Fuzz()
