#!/usr/bin/env bash
# Builds and tags the image, and sees that what is in it starts. Needs a Docker engine.
#
#   docker/build.sh IMAGE[:TAG] [--build-arg MODEL=google/vit-base-patch16-224 …]
#   COMPUTE=cuda docker/build.sh IMAGE[:TAG]
#   PUSH=1 docker/build.sh IMAGE[:TAG]        and pushes it, if all of it starts
set -euo pipefail

if [[ $# -lt 1 || "$1" == -* ]]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
image=$1
shift
cd "$(dirname "$0")/.."

if ! docker version >/dev/null 2>&1; then
  echo "docker/build.sh: no Docker engine answers here" >&2
  exit 1
fi

DOCKER_BUILDKIT=1 docker build --file docker/Dockerfile --tag "$image" \
  --build-arg "COMPUTE=${COMPUTE:-cpu}" "$@" .

in_image() { docker run --rm --entrypoint "$1" "$image" "${@:2}"; }

echo "== what is in $image starts"
in_image test -x /opt/apache/beam/boot
in_image test -x /opt/google/dataflow/python_template_launcher
in_image imgcls --help >/dev/null
in_image python /opt/imgcls/launch.py --help >/dev/null
in_image python -c 'import apache_beam, torch, transformers
print(f"Beam {apache_beam.__version__}, torch {torch.__version__}, transformers {transformers.__version__}")'

echo "== ten pictures with the demo model"
docker run --rm --network none --volume "$PWD/demo:/demo:ro" --entrypoint imgcls "$image" \
  classify --input=/demo/images --model=/demo/model --output=/tmp/out --limit=10 --max_error_ratio=1

if [[ -n "${PUSH:-}" ]]; then
  docker push "$image"
fi
