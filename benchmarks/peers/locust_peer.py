"""Locust with two clients, from our own environment: its command, and its statistics."""

import json
import math
import sys
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path

from benchmarks.peers.peer import Invocation, Job, Reported

_FILES = Path(__file__).with_name("locustfiles")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class LocustPeer:
    """One client: a file of locustfiles/."""

    locustfile: str

    def invocation(self, job: Job) -> Invocation:
        """All users at once, one process; the locustfile ends it after the last answer."""
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary"]
        command += ["--locustfile", str(_FILES / self.locustfile), "--users", str(job.concurrency)]
        command += ["--spawn-rate", str(job.concurrency), "--reset-stats"]
        command += [
            "--csv",
            str(job.out_dir / "locust"),
            "--json-file",
            str(job.out_dir / "locust"),
        ]
        variables = {
            "PEER_BASE_URL": job.base_url,
            "PEER_MODEL": job.model,
            "PEER_OUTPUT_TOKENS": str(job.output_tokens),
            "PEER_REQUESTS": str(job.requests),
            "PYTHONPATH": str(_ROOT),
        }
        return Invocation(command, variables)

    def read(self, job: Job) -> Reported:
        """Its statistics of "answer" and "ttft", from which its own percentiles are worked out."""
        entries = {
            entry["name"]: entry for entry in json.loads((job.out_dir / "locust.json").read_text())
        }
        answers, ttft = entries["answer"], entries.get("ttft")
        wall = answers["last_request_timestamp"] - answers["start_time"]
        ended = answers["num_requests"]
        return Reported(
            completed=ended - answers["num_failures"],
            errors=answers["num_failures"],
            requests_per_s=ended / wall if wall else None,
            wall_s=wall,
            ttft_p50_s=percentile_s(ttft["response_times"], 0.50) if ttft else None,
            ttft_p99_s=percentile_s(ttft["response_times"], 0.99) if ttft else None,
        )


def percentile_s(response_times: dict[str, int], share: float) -> float:
    """The nearest rank out of Locust's counts by milliseconds, which it rounds to two digits."""
    rank = math.ceil(share * sum(response_times.values()))
    for milliseconds in sorted(response_times, key=float):
        rank -= response_times[milliseconds]
        if rank <= 0:
            return float(milliseconds) / 1e3
    raise ValueError("there are no response times")


def version() -> str:
    """Of the Locust that runs."""
    return version_of("locust")
