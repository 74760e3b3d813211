#!/usr/bin/env bash
# Writes constraints.txt, which holds for every Python from 3.11 on, and the hashes of what the image
# installs. What is pinned stays as it is where it still fits.
#
#   tools/constraints.sh VENV [--upgrade]     with the uv of a virtual environment; newest versions
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$1/bin/uv
shift
compile=("$uv" pip compile --quiet --no-header --no-annotate --python-version 3.11)
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

cp constraints.txt "$new/pins.txt"
"${compile[@]}" --universal --all-extras "$@" setup.py --output-file "$new/pins.txt"
cat - "$new/pins.txt" > "$new/constraints.txt" <<'HEADER'
# The newest versions that work together, for each Python from 3.11 on; `make constraints` writes this.
# Torch is pinned because an unpinned one brings gigabytes of CUDA packages where a CPU build would do.
HEADER
cp "$new/constraints.txt" constraints.txt

# PyPI's torch brings CUDA. The image for CPUs takes torch from PyTorch's own index instead.
"${compile[@]}" --generate-hashes --python-platform x86_64-manylinux_2_28 -c constraints.txt \
  docker/requirements.txt --output-file "$new/hashed.txt" > /dev/null
awk -v folder=docker '
  /^[^ ]/ { apart = /^(torch|triton|nvidia-|cuda-)/ }
  { print > (folder (apart ? "/hashed-cuda.txt" : "/hashed.txt")) }
' "$new/hashed.txt"
