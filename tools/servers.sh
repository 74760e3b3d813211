#!/usr/bin/env bash
# Builds what the tests run that others wrote: Prism, a runner of Beam, and servers of S3 (MinIO),
# Google Cloud Storage (fake-gcs-server) and Azure (Azurite). From the Go module proxy and npm.
# A server that is there in its version is not built again.
#
#   tools/servers.sh FOLDER VENV     into FOLDER/bin and FOLDER/node_modules; npm may be VENV's
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1/bin"
folder=$(cd "$1" && pwd)
PATH=$PATH:$(cd "$2/bin" && pwd)
missing=()

# go install of a module at a version, small and without C.
build() {
  local name=$1 version=$2
  [[ $(cat "$folder/bin/$name.version" 2>/dev/null) == "$version" ]] && return
  GOBIN=$folder/bin CGO_ENABLED=0 GOFLAGS=-trimpath \
    go install -ldflags="-s -w" "$version" &&
    echo "$version" > "$folder/bin/$name.version" || missing+=("$name")
}

azurite() {
  cmp -s tests/buckets/package-lock.json "$folder/package-lock.json" &&
    [[ -x $folder/node_modules/.bin/azurite-blob ]] && return
  cp tests/buckets/package.json tests/buckets/package-lock.json "$folder" &&
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --silent) || missing+=(azurite)
}

azurite
build prism github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0
build fake-gcs-server github.com/fsouza/fake-gcs-server@v1.56.1
build minio github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

if ((${#missing[@]})); then
  echo "$1: ${missing[*]} could not be made" >&2
  exit 1
fi
