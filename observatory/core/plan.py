"""A scenario and a seed, resolved: which items, in which order, and (open loop) at which offsets.

Pure and light: workers read plans, so nothing heavier than msgspec is imported here.
"""

import hashlib
import random
from typing import Any, Literal

import msgspec

NONCE_SENTINEL = "\u0001NONCE\u0001"
"""Placeholder of a cold prompt's nonce, until the request is rendered."""
NONCE_LENGTH = 16
PRIMING = "prime"
"""Kind of the stage that sends each item once to fill the cache, before the scenario's own stages."""


class PlanItem(msgspec.Struct, frozen=True):
    """One distinct request content.

    body is the request's JSON but for model, stream options and the target's own fields: it has
    `messages` (chat) or `prompt` (completions), `max_tokens`, sampling, tools. Under cold cache
    its first message (or prompt) opens with NONCE_SENTINEL; sha256 is of the body without it.
    prompt_tokens_estimate is for quotes and caps only, never for a metric.
    """

    prompt_id: str
    sha256: str
    body: dict[str, Any]
    max_tokens: int
    prompt_tokens_estimate: int
    task: str | None = None
    expected: Any = None
    scorer: str | None = None
    labels: list[str] | None = None
    sensitive: bool = False


class StagePlan(msgspec.Struct, frozen=True):
    """One stage: its level and times in seconds; offsets_ns (open loop) count from its start.

    kind: of its arrivals, for people; or PRIMING. Open-loop offsets cover warm-up and steady state.
    Request i sends item order_of(i).
    """

    index: int
    kind: str
    concurrency: int | None
    rate_per_s: float | None
    warmup_s: float
    steady_s: float
    drain_s: float
    think_time_s: float = 0.0
    max_in_flight: int = 1024
    offsets_ns: list[int] | None = None

    @property
    def open_loop(self) -> bool:
        """Return whether instants are planned; else users send when they are answered."""
        return self.offsets_ns is not None

    @property
    def in_flight_limit(self) -> int | None:
        """Requests in flight above which a due request waits; None where users are the limit."""
        return self.max_in_flight if self.open_loop else None

    @property
    def priming(self) -> bool:
        """Return whether it only fills the server's cache and is not measured."""
        return self.kind == PRIMING


class Plan(msgspec.Struct, frozen=True):
    """The whole: items, stages, and what orders them."""

    scenario: str
    seed: int
    request: Literal["chat", "completions"]
    stream: bool
    cache: Literal["cold", "natural", "warm"]
    items: list[PlanItem]
    stages: list[StagePlan]
    items_sha256: str
    comparison_key: str


class Order:
    """The item that request i of a stage sends: seeded permutations of all items, one after another."""

    def __init__(self, seed: int, stage: int, items: int) -> None:
        if items < 1:
            raise ValueError("an order needs at least one item")
        self._key = f"{seed}/{stage}"
        self._items = items
        self._round = -1
        self._permutation: list[int] = []

    def item(self, index: int) -> int:
        """Return the item's place in Plan.items for request `index` (from 0)."""
        round_number, place = divmod(index, self._items)
        if round_number != self._round:
            self._permutation = list(range(self._items))
            random.Random(f"order/{self._key}/{round_number}").shuffle(self._permutation)
            self._round = round_number
        return self._permutation[place]


def nonce(seed: int, stage: int, index: int) -> str:
    """Return the nonce of a request: NONCE_LENGTH hex digits, a function of seed, stage and index."""
    text = f"nonce/{seed}/{stage}/{index}".encode()
    return hashlib.blake2b(text, digest_size=NONCE_LENGTH // 2).hexdigest()


def plan_sha256(plan: Plan) -> str:
    """Return the plan's identity, 64 hex digits: equal plans send equal requests."""
    return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()
