"""`guidellm run`: its command, and its JSON report."""

import json

from benchmarks.peers.environments import program
from benchmarks.peers.peer import Invocation, Job, Reported

_FILE = "guidellm.json"
_PROMPTS = "prompts.jsonl"


def invocation(job: Job) -> Invocation:
    """Prompts of our own from a file: its synthetic ones need a tokenizer and take longer to make."""
    with (job.out_dir / _PROMPTS).open("w") as file:
        for number in range(job.requests):
            row = {"prompt": f"Say {number} in words.", "output_tokens_count": job.output_tokens}
            file.write(json.dumps(row) + "\n")
    if job.rate_per_s is None:
        profile = f"kind=concurrent,streams={job.concurrency}"
    else:
        profile = f"kind={job.arrivals},rate={job.rate_per_s:g}"
    command = [program("guidellm", "guidellm"), "run", "--disable-console", "--profile", profile]
    command += ["--backend", f"kind=openai_http,target={job.server},model={job.model}"]
    command += ["--constraint", f"kind=max_requests,count={job.requests}"]
    command += ["--data", f"kind=json_file,path={job.out_dir / _PROMPTS}"]
    command += ["--output", f"kind=json,path={job.out_dir / _FILE}"]
    return Invocation(command, {"HF_HUB_OFFLINE": "1"})


def read(job: Job) -> Reported:
    """Its report of the only benchmark; milliseconds there, seconds here.

    Its requests_per_second is a mean of momentary rates that exceeds every second's count: the rate
    here is its completed requests over its duration.
    """
    (benchmark,) = json.loads((job.out_dir / _FILE).read_text())["benchmarks"]
    metrics, totals = benchmark["metrics"], benchmark["metrics"]["request_totals"]
    ttft = metrics["time_to_first_token_ms"]["successful"]["percentiles"]
    return Reported(
        completed=totals["successful"],
        errors=totals["errored"] + totals["incomplete"],
        requests_per_s=totals["successful"] / benchmark["duration"],
        wall_s=benchmark["duration"],
        ttft_p50_s=ttft["p50"] / 1e3,
        ttft_p99_s=ttft["p99"] / 1e3,
        output_tokens=round(metrics["output_token_count"]["successful"]["total_sum"]),
    )
