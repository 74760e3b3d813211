"""Fuzzes `targets.tar`."""

import sys

import atheris

with atheris.instrument_imports(include=["fuzz", "imgcls_beam", "tarfile"]):
    from fuzz.targets import tar

if __name__ == "__main__":
    atheris.Setup(sys.argv, tar)
    atheris.Fuzz()
