"""Run one peer against a URL on one core; return its figures and its resource use.

Example: python -m benchmarks.peers.run_peer guidellm http://127.0.0.1:8000/v1 my-model
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread

import psutil

from benchmarks.machine import started_on
from benchmarks.peers import aiperf, environments, guidellm, locust_peer, vllm_bench
from benchmarks.peers.locust_peer import LocustPeer
from benchmarks.peers.peer import Arrivals, Invocation, Job, PeerResult, Reported


@dataclass(frozen=True, slots=True)
class Peer:
    """How to start it and read it; needs names its environments."""

    invocation: Callable[[Job], Invocation]
    read: Callable[[Job], Reported]
    version: Callable[[], str]
    needs: tuple[str, ...] = ()
    open_loop: bool = True


_OPENAI, _LINES = LocustPeer("openai_client.py"), LocustPeer("fast_http_lines.py")
PEERS = {
    "vllm-bench": Peer(
        vllm_bench.invocation, vllm_bench.read, lambda: environments.version("vllm"), ("vllm",)
    ),
    "aiperf": Peer(
        aiperf.invocation, aiperf.read, lambda: environments.version("aiperf"), ("aiperf", "vllm")
    ),
    "guidellm": Peer(
        guidellm.invocation, guidellm.read, lambda: environments.version("guidellm"), ("guidellm",)
    ),
    "locust-openai": Peer(_OPENAI.invocation, _OPENAI.read, locust_peer.version, open_loop=False),
    "locust-lines": Peer(_LINES.invocation, _LINES.read, locust_peer.version, open_loop=False),
}
"""aiperf needs vllm's environment only for the tokenizer's folder."""

_SAMPLE_S = 0.25


def run_peer(
    name: str,
    base_url: str,
    model: str,
    concurrency: int,
    requests: int,
    core: int | None,
    out_dir: Path,
    *,
    output_tokens: int = 128,
    rate_per_s: float | None = None,
    arrivals: Arrivals = "poisson",
    timeout_s: float = 900,
) -> PeerResult:
    """Run a peer of PEERS to its end, with its whole process tree on `core`.

    The rest is as in Job: without rate_per_s it is a closed loop of `concurrency` streams. Where it
    cannot be run or failed, the result has the reason and no figures. Its own output lies in
    out_dir; what it printed is output.txt there.
    """
    job = Job(base_url, model, concurrency, requests, out_dir, output_tokens, rate_per_s, arrivals)
    peer = PEERS[name]
    if reason := environments.missing(*peer.needs):
        return PeerResult(name, None, reason)
    if job.rate_per_s is not None and not peer.open_loop:
        return PeerResult(name, peer.version(), "it has no open-loop arrivals")
    job.out_dir.mkdir(parents=True, exist_ok=True)
    began, started = time.time_ns(), time.monotonic()
    ended = _run(peer.invocation(job), job.out_dir, core, timeout_s)
    used = PeerResult(
        name,
        peer.version(),
        reason=ended.failure,
        cpu_s=ended.cpu_s,
        rss_max_bytes=ended.rss_max_bytes,
        command_s=time.monotonic() - started,
        began_unix_ns=began,
    )
    if ended.failure:
        return used
    try:
        stated = peer.read(job)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return replace(used, reason=f"its output could not be read: {error!r}")
    return replace(
        used,
        completed=stated.completed,
        errors=stated.errors,
        wall_s=stated.wall_s,
        requests_per_s=stated.requests_per_s,
        reported_ttft_p50_s=stated.ttft_p50_s,
        reported_ttft_p99_s=stated.ttft_p99_s,
        output_tokens=stated.output_tokens,
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    failure: str | None
    cpu_s: float
    rss_max_bytes: int


def _run(invocation: Invocation, out_dir: Path, core: int | None, timeout_s: float) -> _Ended:
    cores = os.sched_getaffinity(0) if core is None else {core}
    with (out_dir / "output.txt").open("wb") as output, started_on(cores):
        child = subprocess.Popen(
            invocation.command,
            cwd=out_dir,
            env=os.environ | invocation.variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    over, seen = Event(), _Seen()
    watcher = Thread(target=_watch, args=(child.pid, over, seen))
    watcher.start()
    deadline = Thread(target=_end_late, args=(child.pid, over, timeout_s))
    deadline.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    finally:
        # Left early (Ctrl-C, SIGTERM), the peer's group must not go on, nor the two threads.
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
        over.set()
        watcher.join()
        deadline.join()
    failure = None
    if child.returncode:
        lines = (out_dir / "output.txt").read_text(errors="replace").strip().splitlines()
        failure = (
            f"it ended with {child.returncode}: {lines[-1][:300] if lines else 'nothing said'}"
        )
    cpu_s = max(usage.ru_utime + usage.ru_stime, sum(seen.cpu_s.values()))
    return _Ended(failure, cpu_s, seen.rss_max_bytes)


class _Seen:
    """What the samples of the process tree found: CPU-seconds by process, the largest memory."""

    def __init__(self) -> None:
        self.cpu_s: dict[int, float] = {}
        self.rss_max_bytes = 0


def _watch(pid: int, over: Event, seen: _Seen) -> None:
    """Watch each process too: those that no parent waits for are missing from wait4's sum."""
    while not over.wait(_SAMPLE_S):
        rss = 0
        try:
            root = psutil.Process(pid)
            for process in [root, *root.children(recursive=True)]:
                try:
                    times = process.cpu_times()
                    rss += process.memory_info().rss
                    seen.cpu_s[process.pid] = times.user + times.system
                except psutil.Error:
                    continue
        except psutil.Error:
            return
        seen.rss_max_bytes = max(seen.rss_max_bytes, rss)


def _end_late(pid: int, over: Event, timeout_s: float) -> None:
    """The child leads a process group of its own, so that all of it ends."""
    if not over.wait(timeout_s):
        os.killpg(pid, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """NAME URL MODEL: 200 requests, 8 at a time, and what came of them."""
    name, url, model = arguments
    with tempfile.TemporaryDirectory() as folder:
        result = run_peer(name, url, model, 8, 200, None, Path(folder), output_tokens=32)
        for field, value in asdict(result).items():
            print(f"{field:24} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
