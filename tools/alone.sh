#!/usr/bin/env bash
# Builds the wheel, installs it alone in a new environment, and runs every program of it from another
# folder, with none of this checkout on the path.
#
#   tools/alone.sh VENV [DIST]     builds with a virtual environment's pip, and leaves the wheel in DIST;
#                                  PYTHON as in tools/install.sh
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT

say() { echo "== $(date +%T) $*" >&2; }

say "the wheel, from a copy of what git knows"
mkdir "$away/sources"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$away/sources"
"$1/bin/pip" wheel --quiet --disable-pip-version-check --no-deps -w "$away/dist" "$away/sources"
cp -r demo/images demo/model "$away"
rm -r "$away/sources"
tools/install.sh "$away/venv" -c constraints.txt "$away"/dist/*.whl

# No variable of this shell but PATH; -I leaves out the folder, PYTHONPATH and the user's packages.
imgcls() {
  (cd "$away" && env -i HOME="$away" PATH="$PATH" HF_HUB_OFFLINE=1 TMPDIR="$away" \
    venv/bin/python -I -m imgcls_beam.pipelines "$@" > said 2> errors) || {
    code=$?
    echo "imgcls $* ended with $code" >&2
    tail -n 40 "$away/said" "$away/errors" >&2
    exit 1
  }
}
expect() {
  grep -q -e "$1" "$away/said" || { echo "no '$1' in:" >&2; cat "$away/said" >&2; exit 1; }
}

say "every program says how it is used"
imgcls --help
programs=$(sed -n 's/^  \([a-z]*\)  .*/\1/p' "$away/said")
[[ $(wc -w <<< "$programs") -ge 10 ]]
for program in $programs; do
  imgcls "$program" --help
  expect "imgcls $program"
done

say "the demo's main job, and what comes before and after it"
imgcls --version && expect "imgcls_beam $(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$root/imgcls_beam/__init__.py")"
imgcls doctor --model=model --input=images --output=out && expect "all is well"
imgcls plan --model=model --input=images --output=out && expect "30 to classify"
imgcls classify --model=model --input=images --output=out --run_id=a --max_error_ratio=0.2 --report
expect "27 ok, 3 error of 30 listed"
imgcls retry --output=out --run_id=a --max_error_ratio=0.2
imgcls classify --model=model --input=images --output=out --run_id=b --max_error_ratio=0.2
imgcls report --output=out --run_id=b
imgcls compare --output=out --run_id=a --with=b && expect "agree"
imgcls review --output=out --run_id=b --budget=3
imgcls sql --dialect=duckdb && expect "CREATE"
imgcls template metadata && expect '"parameters"'
[[ -s $away/out/reports/a.html && -s $away/out/reports/b.html ]]

say "with the extras of sql and completion"
tools/install.sh "$away/venv" -c constraints.txt "imgcls_beam[sql,completion] @ file://$(ls "$away"/dist/*.whl)"
imgcls sql --output=out "select count(*) as images from predictions_latest" && expect 27
for shell in bash zsh tcsh; do
  imgcls --completion "$shell" && expect classify
done
say "all of it runs"
if [[ -n "${2:-}" ]]; then
  mkdir -p "$2" && cp "$away"/dist/*.whl "$2"
fi
