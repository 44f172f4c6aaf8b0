"""What the runner hands to Locust's processes for one stage, in a file that lies in memory.

No secret is in it (connections hold references only) and no module that forks badly is imported.
It holds the prompts' text, which no death of a process may leave on a disk.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from observatory.core.clock import Anchor
from observatory.core.connection import Connection
from observatory.core.plan import PlanItem, StagePlan

_DESCRIPTORS = "/proc/self/fd"
HANDOFF_VARIABLE = "OBSERVATORY_HANDOFF"
RUNNER_VARIABLE = "OBSERVATORY_RUNNER"
"""The process id of the runner that started Locust: without that parent nothing may be sent."""


class Caps(msgspec.Struct, frozen=True):
    """What a whole stage may still spend (None: no cap), and what a token costs at the most.

    Each of the workers takes an equal share, so that their sum can never exceed the cap. prices
    (AppliedPrices as plain values; None: none known) charge what ended as its row will be charged.
    overrun: how many times its worst case an answer was billed in the stages before.
    """

    requests: int | None = None
    output_tokens: int | None = None
    usd: float | None = None
    input_usd_per_token: float = 0.0
    output_usd_per_token: float = 0.0
    prices: dict[str, Any] | None = None
    overrun: float = 1.0


class Handoff(msgspec.Struct, frozen=True):
    """One stage on one target. journal is the folder in which worker-K.requests and .ticks go."""

    run_id: str
    target: str
    anchor: Anchor
    connection: Connection
    request: Literal["chat", "completions"]
    stream: bool
    cache: Literal["cold", "natural", "warm"]
    seed: int
    items: list[PlanItem]
    stage: StagePlan
    journal: str
    workers: int = 1
    store_text: bool = False
    caps: Caps = Caps()
    stop_on_refusals: bool = False


@contextmanager
def handed_over(folder: Path, handoff: Handoff) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the path by which a child reads the hand-off while the block runs, and the descriptors that it inherits.

    The prompts' text lies in memory alone, so that no death of ours leaves it on a disk; where the
    kernel has no such files it lies in `folder`, which is private and is swept.
    """
    with _file_in_memory() as descriptor:
        if descriptor is not None:
            put_handoff(descriptor, handoff)
            yield f"{_DESCRIPTORS}/{descriptor}", (descriptor,)
            return
    path = write_handoff(folder, handoff)
    try:
        yield str(path), ()
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _file_in_memory() -> Iterator[int | None]:
    """Yield a descriptor of an empty file in memory; None where there is no such thing."""
    descriptor: int | None = None
    create = getattr(os, "memfd_create", None)
    if create is not None and Path(_DESCRIPTORS).is_dir():
        with suppress(OSError):
            descriptor = create("observatory-handoff")
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def nameless_file() -> Iterator[int]:
    """Yield a descriptor of an empty file for a hand-off that a child makes: in memory where there are such files,
    else on the disk under no name, so that no death leaves it there."""
    with _file_in_memory() as descriptor:
        if descriptor is not None:
            yield descriptor
            return
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


def put_handoff(descriptor: int, handoff: Handoff) -> None:
    """Write it into a file that the parent opened."""
    with open(descriptor, "wb", closefd=False) as file:
        file.write(msgspec.msgpack.encode(handoff))


def take_handoff(descriptor: int) -> Handoff:
    """Read what put_handoff wrote; msgspec.DecodeError where nothing was."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        return msgspec.msgpack.decode(file.read(), type=Handoff)


def write_handoff(folder: Path, handoff: Handoff) -> Path:
    """Write it into `folder` (created private, mode 0700); answers the file's path."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "handoff.msgpack"
    path.touch(mode=0o600)
    path.write_bytes(msgspec.msgpack.encode(handoff))
    return path


def read_handoff(path: Path) -> Handoff:
    """Read what write_handoff wrote."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Handoff)
