#!/bin/bash -eu
# Builds the targets of fuzz/ as OSS-Fuzz wants them: into $OUT, each with its corpus and its options.
# It runs in the image of the Dockerfile beside it, from the root of the repository.

# What the targets use of others. Beam, torch and the stores' clients are imported by functions that
# no target calls; without them a target has 60 MB and starts at once.
pip3 install -c constraints.txt filelock fsspec numpy pillow
pip3 install --no-deps .
without=(apache_beam torch transformers huggingface_hub pyarrow pandas duckdb openvino)

for path in fuzz/fuzz_*.py; do
  name=$(basename -s .py "$path")
  target=${name#fuzz_}
  # It reads configs by transformers, which finds its parts at run time: no bundle has them all.
  # `make fuzz TARGETS=configs` runs it.
  if [[ $target == configs ]]; then
    continue
  fi
  compile_python_fuzzer "$path" --paths=. "${without[@]/#/--exclude-module=}"
  python3 -m zipfile -c "$OUT/${name}_seed_corpus.zip" "fuzz/corpus/$target"/*
  printf '[libfuzzer]\nmax_len = 8192\ntimeout = 10\n' > "$OUT/$name.options"
done
