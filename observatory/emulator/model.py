"""One emulated model: its random draws, load, allowances and counters, and the response to a request.

It has no socket; connections call it and send the result.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from observatory.core.emulation.profile import Profile
from observatory.emulator.cache import CachedPrompts
from observatory.emulator.draws import DrawnAnswer, ServerDraws
from observatory.emulator.events import AnswerBytes, TokenCounts
from observatory.emulator.limits import Allowance, Headers, LimitHeaders, openai_limit
from observatory.emulator.load import DelayFactor, Slots
from observatory.emulator.messages import MessagesBytes, messages_limit
from observatory.emulator.requests import ParsedRequest, Reply
from observatory.emulator.responses import ResponsesBytes
from observatory.emulator.script import Script, WriteStep, refusal_of
from observatory.emulator.truth import TruthLog, WriteLateness


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer that only waits for its slot; facts are for the truth log."""

    content: AnswerBytes
    script: Script
    stream: bool
    facts: dict[str, Any]

    def steps(self) -> Iterator[WriteStep]:
        """Return the steps of the answer, streamed or whole."""
        return self.script.stream() if self.stream else self.script.unstreamed()


@dataclass(eq=False)
class EmulatedModel:
    """Its state. key: what `Authorization: Bearer` must carry under /v1; None takes anything.

    clock is the event loop's, in seconds.
    """

    profile: Profile
    name: str
    clock: Callable[[], float]
    key: str | None = None
    truth: TruthLog | None = None
    requests: int = 0
    connections: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0

    def __post_init__(self) -> None:
        profile = self.profile
        self.slots = Slots(profile.slots)
        self.pace = DelayFactor(profile.slowdown, profile.drift, self.slots, self.clock)
        self.lateness = WriteLateness()
        self._draws = ServerDraws(profile)
        self._allowance = Allowance(profile.limits)
        self._cache = CachedPrompts(profile.prompt_cache)
        sentence = profile.imitates.sentence() if profile.imitates is not None else None
        imitates = (("x-observatory-imitates", _ascii(sentence)),) if sentence else ()
        self.marks: Headers = (("x-observatory-emulated", "1"), *imitates)

    def prepare(
        self,
        request: ParsedRequest,
        body: bytes,
        number: int,
        *,
        head: Callable[[Headers], bytes],
        reply: Callable[[Reply, Headers], bytes],
        kept: bool = False,
    ) -> Prepared | tuple[Reply, Headers, str | None] | None:
        """Return the answer to a request, or its refusal with its headers and its fault; None where
        its connection, which carried requests before (kept), is to be closed without a response.

        head renders a stream's head and reply a whole response, when they are sent, with these
        headers in addition to those of every response.
        """
        tokens = request.text.split()
        limits: Headers = ()
        limit_headers = _LIMIT_HEADERS.get(request.kind, openai_limit)
        if self._allowance.limited:
            limits, over = self._allowance.admit(
                self.clock(), len(tokens) + (request.limit or 0), self.name, limit_headers
            )
            if over is not None:
                return over, limits, "limit"
        limit = request.limit if self.profile.obeys_limit else None
        fate = self._draws.draw(body, limit=limit, fills_limit=request.fills_limit)
        if kept and fate.fault == "drop_kept":
            return None
        refusal = refusal_of(fate.fault, self.profile, limit_headers, limited=bool(limits))
        if refusal is not None:
            return refusal, limits, fate.fault
        cached = self._cache.cached(tokens)
        self.prompt_tokens += len(tokens)
        self.cached_tokens += cached
        counts = TokenCounts(
            prompt=len(tokens),
            cached=cached,
            reasoning=fate.reasoning_tokens,
            output=fate.reasoning_tokens + fate.tokens,
        )
        made_of = _BYTES.get(request.kind, AnswerBytes)
        now = int(time.time())
        content = made_of(
            request, fate, counts, self.profile, self.name, number=number, created=now
        )
        script = Script(
            fate,
            self.profile,
            content,
            request.text,
            ttft_s=fate.ttft_s + self.profile.prefill_per_token * (len(tokens) - cached),
            gaps=self._draws.gaps(fate.gaps_seed),
            mean_gap_s=self._draws.mean_gap_s,
            head=lambda: head(limits),
            reply=lambda response: reply(response, limits),
        )
        if request.stream:  # hidden tokens are generated too; whole answers count them
            self.slots.generated_tokens += script.hidden_tokens
        return Prepared(content, script, request.stream, _facts(request, fate, counts))


def _messages_limit(name: str, limit: int, left: int, full_s: float) -> Headers:
    return messages_limit(name, limit, left, full_s, time.time())


_BYTES: dict[str, type[AnswerBytes]] = {"messages": MessagesBytes, "responses": ResponsesBytes}
_LIMIT_HEADERS: dict[str, LimitHeaders] = {"messages": _messages_limit}


def _ascii(text: str) -> str:
    """Text as a header may carry it."""
    return " ".join(text.split()).encode("ascii", "replace").decode("ascii")


def _facts(request: ParsedRequest, fate: DrawnAnswer, counts: TokenCounts) -> dict[str, Any]:
    """Return what the truth log has of an answer in addition to its instants."""
    return {
        "fault": fate.fault,
        "stream": request.stream,
        "prompt_tokens": counts.prompt,
        "cached_tokens": counts.cached,
        "reasoning_tokens": counts.reasoning,
        "output_tokens": counts.output,
    }
