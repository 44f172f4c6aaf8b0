"""Builds the C truth server and runs it on a core of its own.

The program is compiled once for each content of its source, into the user's cache folder.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import started_on
from benchmarks.truth_log import TruthLog, read_log
from observatory.core.errors import EnvironmentFailed
from observatory.core.workspace import cache_folder

SOURCE = Path(__file__).with_name("truth_server.c")
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the server writes, microseconds; coalesce: a whole stream in one write.

    stamp_arrivals: the kernel's stamp of each request is logged. It makes Linux stamp every packet, so a
    client that does not enable stamps itself would not be detected.
    """

    ttft_us: int
    gap_us: int
    tokens: int
    coalesce: bool = False
    stamp_arrivals: bool = True


@dataclass(slots=True)
class TruthServer:
    """A running server; its `log` may be read once it has ended."""

    port: int
    process: psutil.Process
    log_path: Path

    @property
    def url(self) -> str:
        """The base URL that a client is given."""
        return f"http://127.0.0.1:{self.port}/v1"

    def cpu_now_s(self) -> float:
        """CPU-seconds since its start; while it runs."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def log(self) -> TruthLog:
        """What it did, after its end."""
        return read_log(self.log_path)


def build(folder: Path | None = None) -> Path:
    """The compiled program. EnvironmentFailed where there is no C compiler, or it refuses."""
    folder = folder or cache_folder() / "bench"
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:16]
    program = folder / f"truth_server-{digest}"
    if program.exists():
        return program
    compiler = shutil.which("cc")
    if compiler is None:
        raise EnvironmentFailed("no C compiler (cc) is here", fix="install gcc or clang")
    folder.mkdir(parents=True, exist_ok=True)
    made = program.with_suffix(f".{os.getpid()}")
    command = [compiler, *FLAGS, "-o", str(made), str(SOURCE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise EnvironmentFailed("cannot be compiled", where=str(SOURCE), fix=result.stderr[:2000])
    made.replace(program)
    return program


@contextmanager
def serving(schedule: Schedule, log_path: Path, core: int | None = None) -> Iterator[TruthServer]:
    """A server on a free loopback port, pinned to `core`; it ends with the block."""
    command = [str(build()), "--port", "0", "--log", str(log_path)]
    command += ["--ttft-us", str(schedule.ttft_us), "--gap-us", str(schedule.gap_us)]
    command += ["--tokens", str(schedule.tokens)] + ["--coalesce"] * schedule.coalesce
    command += ["--stamp-arrivals"] * schedule.stamp_arrivals
    with started_on(os.sched_getaffinity(0) if core is None else {core}):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        output = child.stdout.readline().split()
        if output[:1] != ["port"]:
            raise EnvironmentFailed("the truth server did not start", where=" ".join(command))
        yield TruthServer(int(output[1]), psutil.Process(child.pid), log_path)
    finally:
        child.terminate()
        child.wait(timeout=30)
        if child.stdout is not None:
            child.stdout.close()
