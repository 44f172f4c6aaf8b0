"""`aiperf profile`: its command, and its summary file."""

import json

from benchmarks.peers.environments import model_folder, program
from benchmarks.peers.peer import Invocation, Job, Reported

_FILE = "profile_export_aiperf.json"


def invocation(job: Job) -> Invocation:
    """Synthetic prompts of 32 tokens, tokenized with the small model's tokenizer."""
    command = [program("aiperf", "aiperf"), "profile", "--endpoint-type", "chat", "--streaming"]
    command += ["--url", job.server, "--model", job.model, "--tokenizer", str(model_folder())]
    command += ["--synthetic-input-tokens-mean", "32", "--synthetic-input-tokens-stddev", "0"]
    command += ["--output-tokens-mean", str(job.output_tokens), "--output-tokens-stddev", "0"]
    command += ["--request-count", str(job.requests), "--ui", "none", "--no-auto-plot"]
    command += ["--output-artifact-dir", str(job.out_dir)]
    if job.rate_per_s is None:
        command += ["--concurrency", str(job.concurrency)]
    else:
        command += ["--request-rate", f"{job.rate_per_s:g}", "--arrival-pattern", job.arrivals]
    # With any value here it would take the tokenizer's folder for a name in the hub's cache.
    return Invocation(command, {"HF_HUB_OFFLINE": ""})


def read(job: Job) -> Reported:
    """Its summary; milliseconds there, seconds here."""
    summary = json.loads((job.out_dir / _FILE).read_text())
    errors = summary.get("error_request_count")
    return Reported(
        completed=round(summary["request_count"]["avg"]),
        errors=round(errors["avg"]) if errors else 0,
        requests_per_s=summary["request_throughput"]["avg"],
        wall_s=summary["benchmark_duration"]["avg"],
        ttft_p50_s=summary["time_to_first_token"]["p50"] / 1e3,
        ttft_p99_s=summary["time_to_first_token"]["p99"] / 1e3,
        output_tokens=round(summary["total_usage_completion_tokens"]["avg"]),
    )
