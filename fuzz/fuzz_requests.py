"""Fuzzes `targets.requests`."""

import sys

import atheris

with atheris.instrument_imports(include=["fuzz", "imgcls_beam", "json"]):
    from fuzz.targets import requests

if __name__ == "__main__":
    atheris.Setup(sys.argv, requests)
    atheris.Fuzz()
