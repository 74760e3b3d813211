"""Fuzzes `targets.headers`."""

import sys

import atheris

with atheris.instrument_imports(include=["fuzz", "imgcls_beam"]):
    from fuzz.targets import headers

if __name__ == "__main__":
    atheris.Setup(sys.argv, headers)
    atheris.Fuzz()
