"""Fuzzes `targets.manifests`."""

import sys

import atheris

with atheris.instrument_imports(include=["fuzz", "imgcls_beam"]):
    from fuzz.targets import manifests

if __name__ == "__main__":
    atheris.Setup(sys.argv, manifests)
    atheris.Fuzz()
