"""The whole chain once: the real command, the C server, and every request found on both sides."""

import os
from pathlib import Path

import pytest

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.joining import join
from benchmarks.machine import choose_cores
from benchmarks.measures.truth import errors
from benchmarks.truth_server import Schedule

pytestmark = [
    pytest.mark.live,
    pytest.mark.alone,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores"),
]


def test_every_request_of_a_short_run_is_joined_token_by_token(tmp_path: Path) -> None:
    bench = Bench(choose_cores(), tmp_path, quick=True)
    schedule = Schedule(ttft_us=20_000, gap_us=5_000, tokens=20)
    load = Load(tokens=20, users=4, steady_s=3, warmup_s=1, drain_s=5)
    run, log = bench.observe(schedule, load)
    joined = join(log, run.requests, run.attempts, run.anchor_ns, 20)
    assert joined.recorded >= 40
    assert (joined.recorded, joined.unmatched) == (joined.served, 0)
    assert joined.seen_ns.shape == (joined.served, 20)
    assert 0 < joined.steady.sum() < joined.served
    # One clock on both sides: nothing is seen before it was written, or after the run.
    assert (joined.instant_error_ns() >= 0).all()
    assert (joined.sent_ns <= joined.read_ns).all()
    assert (joined.arrived_ns <= joined.read_ns).all()
    found = errors(joined)
    assert found["dropped"] == 0
    assert found["ttft"]["n"] == joined.served
    assert found["gap"]["n"] == joined.served * 19
    about = loaded(run, log)
    assert about["worker_cpu_s_per_1000"] > 0
    assert about["worker_rss_max_mb"] > 10
    assert about["verdict"]
