#!/usr/bin/env bash
# Makes a virtual environment and installs into it: with uv, and with pip where uv is not to be had.
#
#   tools/install.sh FOLDER PIP_ARGUMENT…
#
# PYTHON   the Python to use; without it the first of 3.11 and newer that starts here
# TORCH    cpu: PyTorch's CPU build; pypi: PyPI's, with CUDA on Linux; without it CPU builds are
#          taken on Linux without an NVIDIA GPU, if PyTorch's own index answers at once
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
shift
bin=$folder/bin
at_least="import sys; sys.exit(sys.version_info < (3, 11))"

say() { echo "$folder: $*" >&2; }

find_python() {
  local each
  for each in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
    if "$each" -c "$at_least" 2>/dev/null; then
      echo "$each"
      return
    fi
  done
  say "no Python 3.11 or newer here (tried: ${PYTHON:-python3.11 … python3}); name one: make PYTHON=…"
  exit 1
}

# PyTorch's index is asked once, without retries; a closed network costs seconds at most.
has_cpu_builds() {
  UV_HTTP_RETRIES=0 UV_HTTP_CONNECT_TIMEOUT=3 UV_HTTP_TIMEOUT=5 "$bin/uv" pip install --quiet \
    --python "$bin/python" --dry-run --reinstall-package torch --no-deps --torch-backend=cpu \
    -c constraints.txt torch 2>/dev/null
}

choose_torch() {
  if [[ -n "${TORCH:-}" ]]; then
    echo "$TORCH"
  elif [[ $(uname -s) != Linux || -e /dev/nvidia0 ]] || command -v nvidia-smi >/dev/null; then
    echo pypi
  elif has_cpu_builds; then
    echo cpu
  else
    echo pypi
  fi
}

if [[ ! -x $bin/pip ]]; then
  python=$(find_python)
  say "a new environment of $("$python" --version), and uv, which installs faster than pip (25 MB)"
  "$python" -m venv "$folder"
fi
if [[ ! -x $bin/uv ]]; then
  "$bin/pip" install --quiet --disable-pip-version-check -c constraints.txt uv || true
fi

if [[ -x $bin/uv ]]; then
  # Where Python may not write bytecode (many containers), each start would compile all again.
  options=(--python "$bin/python" ${PYTHONDONTWRITEBYTECODE:+--compile-bytecode})
  if [[ " $* " == *" -e "* || " $* " == *" bench/"* || " $* " == *".whl "* ]]; then  # torch is in them
    case $(choose_torch) in
      cpu)
        options+=(--torch-backend=cpu)
        say "packages with PyTorch's CPU build of torch, some 0.6 GB to download, 1.7 GB on disk"
        ;;
      *) say "packages with PyPI's torch; on Linux with CUDA: 2.8 GB to download, 5 GB on disk" ;;
    esac
  fi
  # uv does not read pip's settings; an index of one's own is the one that matters.
  index=${PIP_INDEX_URL:-$("$bin/pip" config get global.index-url 2>/dev/null || true)}
  if [[ -n $index && -z ${UV_DEFAULT_INDEX:-} ]]; then
    export UV_DEFAULT_INDEX=$index
  fi
  if "$bin/uv" pip install "${options[@]}" "$@"; then
    exit 0
  fi
  say "uv did not manage; once more with pip"
fi
"$bin/pip" install --disable-pip-version-check "$@"
