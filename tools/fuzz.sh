#!/usr/bin/env bash
# Fuzzes each target of fuzz/ for some seconds. What breaks one is kept in out/fuzz/<target>/, and
# the exit code is 1; put it into fuzz/corpus/<target>/ once it is mended.
#
#   tools/fuzz.sh VENV SECONDS [TARGET…]
set -uo pipefail
cd "$(dirname "$0")/.."
python=$1/bin/python
seconds=$2
shift 2
if [[ $# -eq 0 ]]; then
  set -- $(ls fuzz/corpus)
fi
code=0
for target in "$@"; do
  found=out/fuzz/$target
  mkdir -p "$found/corpus"
  echo "== $target, $seconds s"
  if ! "$python" -m "fuzz.fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
      -max_len=8192 -print_final_stats=1 -artifact_prefix="$found/" "$found/corpus" \
      "fuzz/corpus/$target" > "$found/log" 2>&1; then
    code=1
    grep -v "^#" "$found/log" | tail -n 40
  fi
  grep "number_of_executed_units" "$found/log"
done
exit $code
