"""Makes a hand-off, carries it with the real Locust command in a child process, reads what it wrote."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import observatory
from observatory.core.clock import new_anchor
from observatory.core.connection import Connection
from observatory.core.journal import decode_entries, intact_length
from observatory.core.plan import NONCE_SENTINEL, PlanItem, StagePlan
from observatory.core.record import Attempt, RequestRecord, WorkerEnd, WorkerStart, WorkerTick
from observatory.load.command import locust_command
from observatory.load.handoff import HANDOFF_VARIABLE, Handoff, write_handoff
from tests import forked

ROOT = Path(observatory.__file__).resolve().parent.parent
LOADTESTS = ROOT / "loadtests"
CHILD_LIMIT_S = 60.0
Child = forked.Command | subprocess.Popen[bytes]


def item(text: str, max_tokens: int = 16, **more: Any) -> PlanItem:
    """Return an item with the prompt `text`."""
    body = {"messages": [{"role": "user", "content": text}]}
    return PlanItem(
        prompt_id=text[:40],
        sha256="0" * 64,
        body=body,
        max_tokens=max_tokens,
        prompt_tokens_estimate=1,
        **more,
    )


def cold_item(text: str) -> PlanItem:
    """An item with a place for its nonce."""
    return msgspec.structs.replace(item(NONCE_SENTINEL + text), prompt_id=text)


def make_handoff(
    folder: Path,
    port: int,
    items: list[PlanItem],
    *,
    connection: dict[str, Any] | None = None,
    stage: dict[str, Any] | None = None,
    **more: Any,
) -> Handoff:
    """Return a hand-off to a server on this port; without `stage` the items are sent once, in order."""
    journal = folder / "journal"
    plan = {
        "index": 0,
        "kind": "prime",
        "concurrency": 1,
        "rate_per_s": None,
        "warmup_s": 0.0,
        "steady_s": 0.0,
        "drain_s": 0.0,
    }
    address = {"scheme": "http", "host": "127.0.0.1", "port": port, "base_path": "/v1"}
    settings: dict[str, Any] = {
        "run_id": "run",
        "target": "target",
        "anchor": new_anchor(),
        "request": "chat",
        "stream": True,
        "cache": "natural",
        "seed": 1,
        "journal": str(journal),
    }
    return Handoff(
        connection=Connection(**{**address, "model": "m", **(connection or {})}),
        items=items,
        stage=StagePlan(**{**plan, **(stage or {})}),
        **{**settings, **more},
    )


@dataclass
class Carried:
    """A carried stage: its exit code, its log, its journals."""

    code: int
    log: str
    records: list[RequestRecord]
    starts: list[WorkerStart]
    ticks: list[WorkerTick]
    ends: list[WorkerEnd]
    torn_bytes: int

    def attempt(self, prompt_id: str) -> Attempt:
        """The only attempt of the only request of that item."""
        [record] = [record for record in self.records if record.prompt_id == prompt_id]
        [attempt] = record.attempts
        return attempt

    @property
    def issued(self) -> list[RequestRecord]:
        """Records of requests that were sent."""
        return [record for record in self.records if record.released is not None]


def start(
    handoff: Handoff,
    *,
    loadtests: Path = LOADTESTS,
    environment: dict[str, str] | None = None,
    fresh: bool = False,
    **more: Any,
) -> Child:
    """Start the Locust child of a hand-off, its log in a file next to the journal.

    A fork that has its modules loaded, unless `more` is for subprocess.Popen or a fresh one is asked for.
    """
    journal = Path(handoff.journal)
    journal.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(dir=journal.parent, prefix="private-"))
    path = write_handoff(private, handoff)
    variables = {**os.environ, HANDOFF_VARIABLE: str(path), "PYTHONPATH": str(ROOT)}
    variables |= environment or {}
    command = locust_command(handoff, loadtests)
    with (journal.parent / "locust.log").open("ab") as log:
        if not fresh and not more:
            return forked.start(forked.LOAD, command[2:], Path.cwd(), variables, log)
        return subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **more,
        )


def read(handoff: Handoff, code: int) -> Carried:
    """What the journals hold now."""
    journal = Path(handoff.journal)
    files = [path.read_bytes() for path in sorted(journal.iterdir())]
    entries = [entry for data in files for entry in decode_entries(data)]

    def of(kind: type) -> list[Any]:
        return [entry for entry in entries if isinstance(entry, kind)]

    return Carried(
        code=code,
        log=(journal.parent / "locust.log").read_text(),
        records=sorted(of(RequestRecord), key=lambda record: record.index),
        starts=of(WorkerStart),
        ticks=of(WorkerTick),
        ends=of(WorkerEnd),
        torn_bytes=sum(len(data) - intact_length(data) for data in files),
    )


def until(condition: Callable[[], Any], child: Child | None = None) -> None:
    """Wait for a condition; fails where the child has ended, or after CHILD_LIMIT_S seconds."""
    limit = time.monotonic() + CHILD_LIMIT_S
    while not condition():
        assert child is None or child.poll() is None, f"the child ended with {child.returncode}"
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.001)


def carry(
    handoff: Handoff,
    during: Callable[[Child], None] | None = None,
    **more: Any,
) -> Carried:
    """Carry it to its end; `during` may look at the child or hurt it meanwhile."""
    child = start(handoff, **more)
    try:
        if during is not None:
            during(child)
        code = child.wait(CHILD_LIMIT_S)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    return read(handoff, code)
