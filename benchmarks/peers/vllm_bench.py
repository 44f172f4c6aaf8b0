"""`vllm bench serve`: its command, and its result file."""

import json

from benchmarks.peers.environments import model_folder, program
from benchmarks.peers.peer import Invocation, Job, Reported

_FILE = "vllm.json"
_EVEN = "1000000"
"""Its gaps are gamma-distributed with this shape: 1 is Poisson, and nothing but a large one is even."""


def invocation(job: Job) -> Invocation:
    """Random prompts of 32 tokens, tokenized with the small model's tokenizer."""
    command = [program("vllm", "vllm"), "bench", "serve", "--backend", "openai-chat"]
    command += ["--base-url", job.server, "--endpoint", "/v1/chat/completions"]
    command += ["--model", job.model, "--tokenizer", str(model_folder())]
    command += ["--dataset-name", "random", "--random-input-len", "32"]
    command += ["--random-output-len", str(job.output_tokens), "--num-prompts", str(job.requests)]
    command += ["--percentile-metrics", "ttft,itl", "--metric-percentiles", "50,99"]
    command += ["--save-result", "--result-dir", str(job.out_dir), "--result-filename", _FILE]
    command += ["--disable-tqdm"]
    if job.rate_per_s is None:
        command += ["--max-concurrency", str(job.concurrency)]
    else:
        burstiness = "1" if job.arrivals == "poisson" else _EVEN
        command += ["--request-rate", f"{job.rate_per_s:g}", "--burstiness", burstiness]
    return Invocation(command, {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"})


def read(job: Job) -> Reported:
    """Its result file; milliseconds there, seconds here."""
    result = json.loads((job.out_dir / _FILE).read_text())
    return Reported(
        completed=result["completed"],
        errors=result["failed"],
        requests_per_s=result["request_throughput"],
        wall_s=result["duration"],
        ttft_p50_s=result["p50_ttft_ms"] / 1e3,
        ttft_p99_s=result["p99_ttft_ms"] / 1e3,
        output_tokens=result["total_output_tokens"],
    )
