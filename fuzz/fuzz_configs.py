"""Fuzzes `targets.configs`."""

import sys

import atheris
from transformers import AutoConfig  # noqa: F401  seconds of imports, before the clock runs

with atheris.instrument_imports(include=["fuzz", "imgcls_beam", "json"]):
    from fuzz.targets import configs

if __name__ == "__main__":
    atheris.Setup(sys.argv, configs)
    atheris.Fuzz()
