"""The decoder: what one attempt left behind goes in, its record and its texts come out. Pure.

It takes what real servers send, in any order and cut anywhere, and never raises for what a server
sent: a broken answer is a record with a phase and a kind, and keeps its partial stream.
"""

import itertools
import math
from collections.abc import Generator

from msgspec.structs import replace

from observatory.connect.masking import Masker
from observatory.core.record import Attempt, Tokens
from observatory.wires.answer_headers import KeptHeaders, kept_headers
from observatory.wires.answer_reading import AnswerReading
from observatory.wires.failures.stated_wait import stated_wait_s
from observatory.wires.failures.wire_faults import final_fault
from observatory.wires.http_attempt import DecodedAnswer, Fault, HttpAttempt
from observatory.wires.streamed import came_as_stream
from observatory.wires.streams.http_response import ResponseReader
from observatory.wires.streams.sse import BOM
from observatory.wires.streams.stream_reading import (
    Arrivals,
    are_json_lines,
    read_json_lines,
    read_stream,
)
from observatory.wires.token_split import count_tokens, joined
from observatory.wires.usage_elsewhere import usage_elsewhere
from observatory.wires.wires import WIRES, WireName

ERROR_TEXT_LIMIT = 300
_FEW_READS = 3
_NOTHING = KeptHeaders(None, {}, None, None)


def decode(
    http_attempt: HttpAttempt, *, anchor_unix_ns: int, masker: Masker, wire: WireName = "openai"
) -> DecodedAnswer:
    """Return the whole of decode_steps at once."""
    steps = decode_steps(http_attempt, anchor_unix_ns=anchor_unix_ns, masker=masker, wire=wire)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            answer: DecodedAnswer = stop.value
            return answer


def decode_steps(
    http_attempt: HttpAttempt, *, anchor_unix_ns: int, masker: Masker, wire: WireName = "openai"
) -> Generator[None, None, DecodedAnswer]:
    """Decode one attempt, pausing after every EVENTS_A_STEP events so that no other read waits long.

    An event's instant is the stamp of the read that completed it. Of several text events in one
    read whose bytes had waited as several segments, all but the last share a stamp that is not
    theirs. token rules: token_split.count_tokens; errors: wire_faults.final_fault.
    """
    reading = WIRES[wire].reading()
    response = http_attempt.response
    kept = _NOTHING
    body = b""
    unix_s = 0.0
    if response is not None:
        unix_s = (anchor_unix_ns + (response.headers_at or http_attempt.sent or 0)) / 1e9
        kept = kept_headers(response, masker, unix_s)
        body = b"".join(response.pieces)
        reading.sort = body_sort(response, body)
        if response.status is not None and 200 <= response.status < 300:
            if reading.sort == "stream":
                yield from read_stream(body, _arrivals(response, body), reading, response.pieces)
            elif reading.sort == "lines":
                reading.sort = "stream"
                yield from read_json_lines(body, _arrivals(response, body), reading)
            elif reading.sort == "json":
                ends, instants = _arrivals(response, body)
                reading.complete_answer(body.removeprefix(BOM), instants[ends.index(len(body))])
            reading.settle()
            usage = reading.usage
            if usage is None or (usage.completion_tokens is None and usage.output_tokens is None):
                found = usage_elsewhere(body, stream=reading.sort == "stream")
                if found is not None:
                    reading.usage = found if usage is None else joined(usage, found)
    fault = final_fault(http_attempt, reading, body)
    return _answer(http_attempt, reading, kept, fault, masker, unix_s)


def body_sort(response: ResponseReader, body: bytes) -> str:
    """Return a body's format by its first bytes, then its type: stream, json, lines (of JSON), compressed, or other
    (e.g. HTML).

    A content-encoding does not make text compressed: some servers put a charset there, and some proxies leave it
    after they have decompressed a body.
    """
    start = body[:256].removeprefix(BOM).lstrip()[:8]
    if not start:  # DeepSeek sends a blank line a second until a whole answer begins
        start = body.lstrip()[:8]
    if start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return "stream"
    event_stream = "event-stream" in (response.header("content-type") or "").lower()
    if start.startswith((b"{", b"[{")):
        # An error's JSON without `data:` may come first in a stream.
        if event_stream and b"\ndata:" in body:
            return "stream"
        return "lines" if are_json_lines(body.removeprefix(BOM).lstrip()) else "json"
    if (response.header("content-encoding") or "identity").lower() != "identity":
        return "compressed"
    return "stream" if event_stream and not start.startswith(b"<") else "other"


def _arrivals(response: ResponseReader, body: bytes) -> Arrivals:
    pieces, counts = response.pieces, response.piece_counts
    if len(counts) == 1:
        return [len(body)], response.stamps
    if len(counts) <= _FEW_READS:
        return [sum(map(len, pieces[:count])) for count in counts], response.stamps
    lengths = list(itertools.accumulate(map(len, pieces), initial=0))
    return [lengths[count] for count in counts], response.stamps


def _answer(
    http_attempt: HttpAttempt,
    reading: AnswerReading,
    kept: KeptHeaders,
    fault: Fault | None,
    masker: Masker,
    unix_s: float,
) -> DecodedAnswer:
    response = http_attempt.response
    tokens, split = count_tokens(
        reading.usage,
        reading.event_characters,
        reading.running,
        reasoning_streamed=bool(reading.reasoning_pieces),
        split_unknown=reading.split_unknown,
        model=reading.model,
    )
    text, reasoning, tool_text = reading.texts()
    ended = http_attempt.ended
    if fault is None and http_attempt.fault is not None and response is not None:
        ended = response.stamps[-1]  # whole before the connection failed
    if fault is not None and fault.outcome == "throttled" and response is not None:
        kept = replace(kept, retry_after_s=stated_wait_s(response, unix_s, refused=True))
    attempt = _attempt(
        http_attempt, reading, kept, fault, masker, ended, tokens, split, len(text), len(reasoning)
    )
    stated = reading.usage.cost if reading.usage is not None else None
    if reading.odd_events or stated is not None or kept.gateway_call_id is not None:
        attempt = _with_oddities(attempt, reading, kept, stated, masker)
    return DecodedAnswer(attempt, text, reasoning, tool_text)


def _attempt(
    http_attempt: HttpAttempt,
    reading: AnswerReading,
    kept: KeptHeaders,
    fault: Fault | None,
    masker: Masker,
    ended: int | None,
    tokens: Tokens,
    split: list[int],
    answer_characters: int,
    reasoning_characters: int,
) -> Attempt:
    response = http_attempt.response
    shared = reading.shared(response.merged) if response is not None else []
    return Attempt(
        number=http_attempt.number,
        connect_started=http_attempt.connect_started,
        resolved=http_attempt.resolved,
        connected=http_attempt.connected,
        sent=http_attempt.sent,
        body_sent=http_attempt.body_sent,
        headers=response.headers_at if response is not None else None,
        first_event=reading.first_event,
        first_token=reading.event_ns[0] if reading.event_ns else None,
        first_reasoning=reading.first_reasoning,
        first_answer=reading.first_answer,
        last_token=reading.event_ns[-1] if reading.event_ns else None,
        usage_event=reading.usage_event,
        ended=ended,
        http_status=response.status if response is not None else None,
        outcome=fault.outcome if fault is not None else "ok",
        error_phase=fault.phase if fault is not None else None,
        error_kind=fault.kind if fault is not None else None,
        error_text=_error_text(fault.text, masker) if fault is not None else None,
        retry_after_s=kept.retry_after_s,
        rate_limit_headers=kept.rate_limit_headers,
        provider_request_id=kept.provider_request_id,
        model_reported=_short(reading.model, masker),
        system_fingerprint=_short(reading.system_fingerprint, masker),
        service_tier=_short(reading.service_tier, masker),
        processing_ms=kept.processing_ms,
        finish_reason=_short(reading.finish_reason, masker),
        bytes_sent=http_attempt.bytes_sent,
        bytes_received=response.received if response is not None else 0,
        stamp_source=http_attempt.stamp_source,
        reused_connection=http_attempt.reused,
        saw_done=reading.saw_done,
        event_ns=reading.event_ns,
        event_tokens=split,
        event_characters=reading.event_characters,
        event_shared=shared,
        shared_stamps=sum(shared) if response is not None and response.merged else 0,
        tokens=tokens,
        answer_characters=answer_characters,
        reasoning_characters=reasoning_characters,
        tool_calls=len(reading.tools),
        streamed=came_as_stream(
            reading, tokens, streaming=http_attempt.streaming, sent=http_attempt.sent
        ),
    )


def _with_oddities(
    attempt: Attempt,
    reading: AnswerReading,
    kept: KeptHeaders,
    stated_usd: float | None,
    masker: Masker,
) -> Attempt:
    """Return the attempt with what few answers have: odd events, and what a gateway states of its own part, its
    price in the usage (OpenRouter) or in a header (LiteLLM)."""
    if stated_usd is None or not 0 <= stated_usd < math.inf:
        stated_usd = kept.gateway_cost_usd
    return replace(
        attempt,
        odd_events=reading.odd_events,
        odd_event=_short(reading.odd_event, masker),
        gateway_cost_usd=stated_usd,
        gateway_call_id=kept.gateway_call_id,
        gateway_overhead_ms=kept.gateway_overhead_ms,
        gateway_fallbacks=kept.gateway_fallbacks,
    )


def _error_text(text: str, masker: Masker) -> str:
    return masker.error(text.encode("utf-8", "replace").decode())[:ERROR_TEXT_LIMIT]


def _short(text: str | None, masker: Masker) -> str | None:
    """Return a server's text about itself in the form that may be stored."""
    if not text:
        return None
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return masker.exact(text)[:200]
