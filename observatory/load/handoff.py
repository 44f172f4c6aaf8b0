"""What the runner hands to Locust's processes for one stage, in a private folder.

No secret is in it (connections hold references only) and no module that forks badly is imported.
The folder is removed when the stage is over, because it holds the prompts' text.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

from observatory.core.clock import Anchor
from observatory.core.connection import Connection
from observatory.core.plan import PlanItem, StagePlan

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
