"""`python -m benchmarks.answer_path`: the cost of one answer in a load worker, counted and not timed.

One virtual user sends requests to the truth server, in this process, with the worker's own loop,
transport, decoder and journal. Python counts the bytecodes and calls; the figures hardly depend on the clock
or on what else the machine does: what the loop does each time that it wakes up is left out, and the cheapest of some blocks counts. C code between two calls is not seen:
the ceiling measure times that.
"""

import json
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import gevent
import gevent.monkey

from benchmarks.truth_server import Schedule, serving
from observatory.core.clock import new_anchor
from observatory.core.connection import Connection
from observatory.core.plan import NONCE_SENTINEL, PlanItem, StagePlan
from observatory.load.handoff import Handoff
from observatory.load.reading.ring import open_ring
from observatory.load.stage import StageRun

TOKENS = 128
WARM, COUNTED, BLOCKS = 20, 40, 10
"""Answers before the count, which learn and fill caches, answers of a block, and blocks counted."""
LIMIT_S = 60.0
_ELSEWHERE = (
    "load/heartbeat.py",
    "load/reading/io_uring.py",
    "load/pacing.py",
    "load/reading/polling.py",
    "load/reading/ring.py",
)
"""What runs by the clock, or each time that the loop wakes up: how often is the machine's affair."""
_LOOKS = frozenset({"_look", "_fault"})
"""The watchdog's part of that."""


class _Count:
    """Bytecodes and calls so far, of every greenlet in which `trace` was called."""

    def __init__(self) -> None:
        self.bytecodes = self.calls = 0

    def trace(self) -> None:
        sys.settrace(self._entered)
        sys.setprofile(self._called)

    def _entered(self, frame: FrameType, event: str, argument: Any) -> Any:
        if _elsewhere(frame):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._executed

    def _executed(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.bytecodes += event == "opcode"
        return self._executed

    def _called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call") and not _elsewhere(frame):
            self.calls += 1


def _elsewhere(frame: FrameType) -> bool:
    code = frame.f_code
    return code.co_filename.endswith(_ELSEWHERE) or code.co_name in _LOOKS


def count(folder: Path) -> dict[str, float]:
    """Bytecodes and calls for one answer of TOKENS events that arrives at once.

    ring: 1 where the kernel makes the reads (io_uring), else 0.
    """
    (folder / "journal").mkdir()
    counted, over = _Count(), list[str]()
    trial = open_ring(1)
    ring = trial is not None
    if trial is not None:
        trial.close()
    marks: list[tuple[int, int]] = []
    ends = [WARM + COUNTED * block for block in range(BLOCKS + 1)]
    with serving(Schedule(0, 0, TOKENS, coalesce=True), folder / "truth.log") as server:
        stage = StageRun(_handoff(folder, server.port), 0, over.append)

        def user() -> None:
            virtual_user = stage.virtual_user()
            while (in_flight := stage.next_turn(virtual_user)) is not None:
                if len(marks) == WARM:
                    counted.trace()
                    gevent.get_hub().loop.run_callback(counted.trace)
                marks.append((counted.bytecodes, counted.calls))
                stage.send(virtual_user, in_flight)
                if len(marks) > WARM + COUNTED * BLOCKS:
                    sys.settrace(None)
                    sys.setprofile(None)
                    stage.stop("interrupted", "counted")

        gevent.spawn(user)
        gevent.sleep(0)
        stage.begin(time.time_ns())
        end = time.monotonic() + LIMIT_S
        while not over and time.monotonic() < end:
            gevent.sleep(0.1)
    errors = stage.journal.counts.errors
    if len(marks) <= WARM + COUNTED * BLOCKS or errors > 1:  # the last one is cut off
        raise SystemExit(f"counted {len(marks)} answers, {errors} of them failed")
    return {
        name: min(
            (marks[end][place] - marks[start][place]) / COUNTED for start, end in pairwise(ends)
        )
        for place, name in enumerate(("bytecodes", "calls"))
    } | {"ring": float(ring)}


def _handoff(folder: Path, port: int) -> Handoff:
    items = [
        PlanItem(
            prompt_id=f"prompt {number}",
            sha256="0" * 64,
            body={"messages": [{"role": "user", "content": f"{NONCE_SENTINEL} {number}"}]},
            max_tokens=TOKENS,
            prompt_tokens_estimate=1,
        )
        for number in range(8)
    ]
    return Handoff(
        run_id="count",
        target="truth",
        anchor=new_anchor(),
        request="chat",
        stream=True,
        cache="cold",
        seed=1,
        journal=str(folder / "journal"),
        connection=Connection(
            scheme="http", host="127.0.0.1", port=port, base_path="/v1", model="m"
        ),
        items=items,
        stage=StagePlan(
            index=0,
            kind="closed",
            concurrency=1,
            rate_per_s=None,
            warmup_s=0.0,
            steady_s=LIMIT_S,
            drain_s=1.0,
        ),
    )


if __name__ == "__main__":
    gevent.monkey.patch_all()
    # On one core with the server an answer is whole when it is read; on two idle ones it comes in parts.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        print(json.dumps(count(Path(scratch))), flush=True)
    os._exit(0)  # the hub's greenlets have nothing more to do
