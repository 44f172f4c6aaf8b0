"""One request on its way through a worker: its item, its start, and its outcome."""

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from observatory.core.plan import NONCE_LENGTH, Order, PlanItem, nonce
from observatory.core.record import Outcome, Phase
from observatory.core.worst_case import unseen_tokens
from observatory.load.handoff import Handoff
from observatory.load.rate_limit import AllowanceCost, Mark
from observatory.wires.http_attempt import HttpAttempt
from observatory.wires.requests_body import model_of, render

_RENDERED_BYTES = 64 << 20
"""Rendered bodies kept for the next time that their item is sent."""


class InFlight(msgspec.Struct, eq=False):
    """A request of the plan. scheduled and released are instants; *_monotonic are readings.

    reason: why it was not issued, was given up or cut off by us, for the record. earlier: the attempts
    before the one in `http_attempt`, in their order. waited_s: the waits between attempts, in all.
    ended_as: its outcome where that is not its last attempt's. mark: the pacer's, of its last attempt.
    worst_prompt_tokens: a token for each byte of the body, and what the service may add to the prompt.
    stale_attempts: earlier attempts that met a stale connection, which are ours and none of the service's or the
    policy's.
    """

    index: int
    item_index: int
    item: PlanItem
    body: list[bytes]
    http_attempt: HttpAttempt
    due_monotonic: int = 0
    entered_monotonic: int = 0
    ended_monotonic: int = 0
    scheduled: int = 0
    released: int | None = None
    pace_wait_ns: int = 0
    phase: Phase = "steady"
    user: int = 0
    reason: str | None = None
    closed: bool = False
    earlier: list[HttpAttempt] = []
    waited_s: float = 0.0
    waiting: bool = False
    ended_as: Outcome | None = None
    mark: Mark | None = None
    worst_prompt_tokens: int = 0
    stale_attempts: int = 0

    @property
    def met_stale_connection(self) -> bool:
        """Whether the server closed the kept connection before it answered a byte: it may not have read
        the request. Some servers close after some answers without a word (llama.cpp's after two)."""
        http_attempt, response = self.http_attempt, self.http_attempt.response
        return (
            http_attempt.reused
            and http_attempt.fault is not None
            and http_attempt.fault.kind in ("early_close", "reset")
            and (response is None or (response.received == 0 and response.status is None))
        )

    def try_again(self) -> None:
        """Keep the attempt that has ended, and make ready for the next one."""
        self.stale_attempts += self.met_stale_connection
        self.earlier.append(self.http_attempt)
        self.http_attempt = HttpAttempt(
            number=len(self.earlier), streaming=self.http_attempt.streaming
        )

    @property
    def cost(self) -> AllowanceCost:
        """What it takes of a rate limit."""
        return AllowanceCost(self.item.prompt_tokens_estimate, self.item.max_tokens)

    @property
    def worst_output_tokens(self) -> int:
        """The output limit that is sent."""
        return self.item.max_tokens


class _Rendered(NamedTuple):
    """A body before and after its nonce, and the most tokens that it and what the service adds may be."""

    before: bytes
    after: bytes
    worst_prompt_tokens: int


@dataclass(slots=True)
class RequestSource:
    """Makes the requests of a stage by their index: same seed, same bytes."""

    handoff: Handoff
    _order: Order = field(init=False)
    _rendered: dict[tuple[int, str], _Rendered] = field(init=False, default_factory=dict)
    _kept: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        handoff = self.handoff
        self._order = Order(handoff.seed, handoff.stage.index, len(handoff.items))

    def make(self, index: int) -> InFlight:
        """Return request `index` of the stage. Priming sends the items in their order, each once."""
        handoff = self.handoff
        stage = handoff.stage
        place = index if stage.priming else self._order.item(index)
        model = model_of(handoff.connection, index=index, place=place, cache=handoff.cache)
        rendered = self._rendered.get((place, model)) or self._render(place, model)
        body = [rendered.before]
        if rendered.after:
            body += [nonce(handoff.seed, stage.index, index).encode(), rendered.after]
        return InFlight(
            index=index,
            item_index=place,
            item=handoff.items[place],
            body=body,
            http_attempt=HttpAttempt(streaming=handoff.stream),
            worst_prompt_tokens=rendered.worst_prompt_tokens,
        )

    def _render(self, place: int, model: str) -> _Rendered:
        handoff = self.handoff
        item = handoff.items[place]
        before, after = render(
            item,
            handoff.connection,
            request=handoff.request,
            stream=handoff.stream,
            cache=handoff.cache,
            model=model,
        )
        size = len(before) + (NONCE_LENGTH + len(after) if after else 0)
        rendered = _Rendered(before, after, size + unseen_tokens(item.body))
        self._kept += len(before) + len(after) + NONCE_LENGTH
        if self._kept > _RENDERED_BYTES:
            self._rendered.clear()
            self._kept = 0
        self._rendered[place, model] = rendered
        return rendered
