#!/usr/bin/env bash
# Writes sbom.cdx.json, which every wheel carries: what the package wants of others, without extras,
# in CycloneDX's form.
#
#   tools/sbom.sh VENV     in which the package is installed
set -euo pipefail
cd "$(dirname "$0")/.."
declared=$(mktemp -d)
trap 'rm -rf "$declared"' EXIT

"$1/bin/python" - "$declared" <<'PYTHON'
import importlib.metadata
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
base = [each for each in importlib.metadata.requires("imgcls_beam") if "extra ==" not in each]
(folder / "requirements.txt").write_text("".join(f"{each}\n" for each in sorted(base)))
version = importlib.metadata.version("imgcls_beam")
project = f'[project]\nname = "imgcls_beam"\nversion = "{version}"\nlicense = "Apache-2.0"\n'
(folder / "pyproject.toml").write_text(project)
PYTHON
PYTHONWARNINGS=ignore "$1/bin/uv" tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements \
  "$declared/requirements.txt" --pyproject "$declared/pyproject.toml" --mc-type library \
  --output-reproducible --spec-version 1.6 --output-format JSON --output-file sbom.cdx.json 2> "$declared/said" \
  || { cat "$declared/said" >&2; exit 1; }
echo >> sbom.cdx.json
