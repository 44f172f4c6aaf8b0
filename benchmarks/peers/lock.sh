#!/usr/bin/env bash
# Resolves the peers' pins anew (needs uv): ./benchmarks/peers/lock.sh
# torch is left out: its CPU wheel is not in the package index, so no hash of it can be checked there.
set -euo pipefail
cd "$(dirname "$0")"
wheels=${TORCH_WHEELS:?"set it to the folder or page that offers the wheel that torch.txt names"}
for name in vllm guidellm aiperf; do
  uv pip compile --python-version 3.11 --python-platform x86_64-manylinux_2_28 --find-links "$wheels" \
    --constraint torch.txt --override without.txt --no-emit-package torch \
    --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet "$name.in" --output-file "$name.txt"
done
