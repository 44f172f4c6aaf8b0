"""Servers that we did not write, started for a test and ended with it."""

import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.peers.environments import model_folder, program
from tests.live.harness import PATIENCE_S, wait_until

ONE_VLLM = pytest.mark.xdist_group("vllm")
"""One real vLLM at a time: each takes gigabytes, and a core while it starts."""
VLLM = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",  # two that wait for each other are slower where the cores are shared
    "HF_HUB_OFFLINE": "1",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def fetch(url: str) -> str | None:
    """The page, or None while nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


@contextmanager
def serving(command: list[str], port: int, page: str, log: Path) -> Iterator[str]:
    """The server's address once it answers; it is ended with the block."""
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            env=os.environ | VLLM,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: fetch(address + page) is not None or child.poll() is not None, page)
        assert child.poll() is None, log.read_text(errors="replace")[-2000:]
        yield address
    finally:
        child.terminate()
        try:
            child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def serving_vllm(log: Path, *flags: str) -> Iterator[str]:
    """The small model as "smol" through real vLLM on the CPU; the address of the server."""
    port = free_port()
    command = [program("vllm", "vllm"), "serve", str(model_folder()), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--served-model-name", "smol", "--enforce-eager"]
    command += ["--max-model-len", "1024", *flags]
    with serving(command, port, "/health", log) as address:
        yield address
