"""Which process is the engine, by id or by words of its command line."""

import subprocess
import sys

from observatory.telemetry.probe.watched_engine import AGAIN_S, WatchedEngine, matching


def test_the_topmost_processes_that_have_the_words() -> None:
    found = {
        1: (0, "init"),
        10: (1, "bash run.sh"),
        11: (10, "python -m vllm serve model"),
        12: (11, "python -m vllm serve model"),
        13: (12, "nvcc"),
        20: (1, "python -m vllm serve other"),
        30: (1, "observatory probe --watch-command vllm serve"),
    }
    assert matching("vllm serve", found, own=30) == [11, 20]
    assert matching("nothing", found, own=30) == []


def test_what_started_the_probe_has_the_words_too_and_is_no_engine() -> None:
    found = {
        1: (0, "init"),
        20: (1, "python -m vllm serve"),
        30: (1, "sudo observatory probe --watch-command vllm serve"),
        31: (30, "observatory probe --watch-command vllm serve"),
    }
    assert matching("vllm serve", found, own=31) == [20]
    found[1] = (0, "sh -c 'vllm serve & observatory probe --watch-command vllm serve'")
    assert matching("vllm serve", found, own=31) == [20]


def test_a_process_id_is_taken_as_it_is() -> None:
    assert WatchedEngine(77, None).now() == {"engine:watched": 77}
    assert WatchedEngine(None, None).now() == {}


def test_a_command_is_looked_for_anew_only_now_and_then() -> None:
    now = [0.0]
    words = "import time; time.sleep(600)  # a-probes-engine"
    watched = WatchedEngine(None, "a-probes-engine", clock=lambda: now[0])
    assert watched.now() == {}
    child = subprocess.Popen([sys.executable, "-c", words])
    try:
        assert watched.now() == {}
        now[0] = AGAIN_S
        assert watched.now() == {"engine:watched": child.pid}
    finally:
        child.kill()
        child.wait()
    assert watched.now() == {"engine:watched": child.pid}
    now[0] = 2 * AGAIN_S
    assert watched.now() == {}
