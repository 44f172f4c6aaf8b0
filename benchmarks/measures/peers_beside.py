"""Other load testing tools under the same conditions: one core, the same server, judged by the server's log.

A tool that is not installed here (./.ci/peers installs them) gives a row with that reason.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import polars as pl

from benchmarks.bench import Bench
from benchmarks.client import Load
from benchmarks.figures import middle_rate, percentile
from benchmarks.measures.truth import ANSWER_S, SCHEDULE, TOKENS
from benchmarks.peers.peer import PeerResult
from benchmarks.peers.run_peer import PEERS, run_peer
from benchmarks.results import Measurement
from benchmarks.truth_log import TruthLog
from benchmarks.truth_server import Schedule, serving

OURS = "observatory"
LEVELS = (64, 512)
REQUESTS_EACH = 3
CEILING_REQUESTS = {
    "vllm-bench": 6000,
    "aiperf": 1500,
    "guidellm": 1000,
    "locust-openai": 600,
    "locust-lines": 6000,
}
"""About ten seconds of each on one core of two-core virtual machines."""


def ceilings(
    bench: Bench, schedule: Schedule, streams: int, names: Iterable[str] = PEERS
) -> list[dict[str, Any]]:
    """A row a tool: requests a second between the 10th and the 90th percentile of arrivals."""

    def rate(log: TruthLog, _: PeerResult) -> dict[str, Any]:
        return {"requests_per_s_by_server": middle_rate(log.read_ns)}

    share = 4 if bench.quick else 1
    return [
        _run(bench, name, schedule, streams, CEILING_REQUESTS[name] // share, rate)
        for name in names
    ]


def measure(bench: Bench) -> Measurement:
    """Measure TTFT as each tool reports it and as the server logs it, few requests a stream."""
    found = Measurement("peers-truth")
    for streams in LEVELS[:1] if bench.quick else LEVELS:
        found.rows.append(_ours(bench, streams))
        for name in PEERS:
            found.rows.append(
                {
                    "streams": streams,
                    **_run(bench, name, SCHEDULE, streams, streams * REQUESTS_EACH, _true_ttft),
                }
            )
    return found


def _ours(bench: Bench, streams: int) -> dict[str, Any]:
    load = Load(tokens=TOKENS, users=streams, steady_s=ANSWER_S * REQUESTS_EACH, warmup_s=0)
    run, log = bench.observe(SCHEDULE, load)
    ttft = run.attempts.filter(pl.col("outcome") == "ok").select(
        (pl.col("first_token_ns") - pl.col("sent_ns")) / 1e9
    )
    return {
        "streams": streams,
        "name": OURS,
        "completed": ttft.height,
        "reported_ttft_p50_s": percentile(ttft.to_series(), 0.5),
        "reported_ttft_p99_s": percentile(ttft.to_series(), 0.99),
        **_true_ttft(log),
    }


def _true_ttft(log: TruthLog, _: PeerResult | None = None) -> dict[str, Any]:
    firsts = log.writes[log.writes["token"] == 0]
    read = log.read_ns[log.requests.searchsorted(firsts["request"])]
    ttft_s = (firsts["at_ns"] - read) / 1e9
    return {
        "true_ttft_p50_s": percentile(ttft_s, 0.5),
        "true_ttft_p99_s": percentile(ttft_s, 0.99),
    }


def _run(
    bench: Bench,
    name: str,
    schedule: Schedule,
    streams: int,
    requests: int,
    judged: Callable[[TruthLog, PeerResult], dict[str, Any]],
) -> dict[str, Any]:
    """The tool's own words, and the log's where it ran."""
    folder = bench.folder()
    with serving(schedule, folder / "truth.log", bench.cores.server) as server:
        result = run_peer(
            name,
            server.url,
            "m",
            streams,
            requests,
            bench.cores.client,
            folder / "peer",
            output_tokens=TOKENS,
            timeout_s=180,
        )
    row = asdict(result)
    return {**row, **judged(server.log, result)} if result.reason is None else row
