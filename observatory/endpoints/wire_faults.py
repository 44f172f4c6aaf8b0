"""Which fault a try ended with, if any: the transport's, or what the answer itself says. Pure."""

import json

from observatory.core.record import ErrorKind, ErrorPhase, Outcome
from observatory.endpoints.answer_json import read_chunk
from observatory.endpoints.answer_reading import AnswerReading
from observatory.endpoints.exchange import Exchange, Fault

_THROTTLED = frozenset({429, 529})
"""429 is RFC 6585's; 529 is Anthropic's "overloaded"."""


def final_fault(exchange: Exchange, reading: AnswerReading, body: bytes) -> Fault | None:
    """The fault that stands in the record, None for a whole answer; the first of these that fits.

    An HTTP status other than 2xx; an error object, in a 200 stream too; what the transport met,
    unless the stream had already said that it is over; a body that is neither a stream nor JSON; an
    event that is no JSON; a stream that does not end as its wire's do; an answer with nothing in it.
    """
    response = exchange.response
    if response is None or response.status is None:
        return exchange.fault or Fault("headers", "client", "no answer was waited for")
    if not 200 <= response.status < 300:
        return _status_fault(response.status, response.header("retry-after") is not None, body)
    if reading.error:
        phase = _phase(reading, early="first_event")
        return Fault(phase, "error_event", _message(reading.error))
    if exchange.fault is not None:
        if reading.saw_done:
            return None
        phase = exchange.fault.phase
        if phase == "stream":
            phase = _phase(reading, early="first_event")
        return Fault(phase, exchange.fault.kind, exchange.fault.text, exchange.fault.outcome)
    return _content_fault(exchange, reading, body)


def _content_fault(exchange: Exchange, reading: AnswerReading, body: bytes) -> Fault | None:
    """What is wrong with a 200 answer that arrived without a fault on the way."""
    if reading.sort == "compressed":
        return Fault("body", "protocol", "the answer is compressed, though identity was asked for")
    if reading.sort == "other":
        if not body.strip():
            return Fault("body", "empty_answer", "the answer has no body")
        kind: ErrorKind = "not_sse" if exchange.streaming else "bad_json"
        return Fault("body", kind, f"not an API's answer: {_text(body)}")
    if reading.bad_json is not None:
        phase = _phase(reading, early="first_event")
        return Fault(phase, "bad_json", f"not JSON: {_text(reading.bad_json)}")
    if reading.sort == "json":
        if reading.event_ns or reading.finish_reason:
            return None
        return Fault("body", "empty_answer", f"there is no answer in it: {_text(body)}")
    if not reading.said_its_end:
        if reading.first_event is None:
            return Fault("body", "empty_answer", "the answer has no event")
        return Fault("stream", "early_close", f"the stream ended without {reading.ends_with}")
    if not reading.event_ns and not reading.finish_reason and reading.usage is None:
        return Fault("stream", "empty_answer", "the stream ended without text or finish reason")
    return None


def _phase(reading: AnswerReading, *, early: ErrorPhase) -> ErrorPhase:
    if reading.sort not in ("stream", "none"):
        return "body"
    return early if reading.first_event is None else "stream"


def _status_fault(status: int, retry_after: bool, body: bytes) -> Fault:
    # A 503 that says when to come back is a limit; one that does not is a failure.
    throttled = status in _THROTTLED or (status == 503 and retry_after)
    outcome: Outcome = "throttled" if throttled else "error"
    said = _error_in(body)
    text = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    return Fault("headers", "http_status", text, outcome)


def _error_in(body: bytes) -> str:
    """What an error's body says, in words where it is JSON."""
    chunk = read_chunk(body)
    found = (chunk.error or chunk.message or chunk.detail) if chunk is not None else None
    return _message(found) if found else _text(body)


def _message(error: object) -> str:
    """An error object in words: its message, with its type or code."""
    if isinstance(error, str):
        return " ".join(error.split())
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        label = next((str(error[key]) for key in ("code", "type", "status") if error.get(key)), "")
        message = " ".join(error["message"].split())
        return f"{message} ({label})" if label else message
    return json.dumps(error, ensure_ascii=False, default=str)


def _text(body: bytes) -> str:
    return " ".join(body[:2000].decode("utf-8", "replace").split())
