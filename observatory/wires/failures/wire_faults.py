"""Find the fault that ended an attempt, if any: the transport's, or the one stated in the response. Pure."""

from urllib.parse import urlsplit, urlunsplit

from observatory.connect.masking import MOST_MASKED
from observatory.core.record import ErrorKind, ErrorPhase, Outcome
from observatory.wires.answer_reading import AnswerReading
from observatory.wires.failures.error_words import error_in, is_filter, words_of
from observatory.wires.failures.other_apis import other_api
from observatory.wires.failures.overload import is_overload, is_throttle, refusal_kind
from observatory.wires.failures.stated_wait import NOT_NOW, stated_wait_s
from observatory.wires.http_attempt import Fault, HttpAttempt
from observatory.wires.streams.http_response import ResponseReader

_THROTTLED = frozenset({429, 529})
"""429 is RFC 6585's; 529 is Anthropic's "overloaded"."""


def final_fault(http_attempt: HttpAttempt, reading: AnswerReading, body: bytes) -> Fault | None:
    """Return the fault to record, None for a whole answer; the first of these that fits.

    An HTTP status other than 2xx; a content filter; an error object, in a 200 stream too; a finish
    reason that means a failure; what the transport met, unless the stream's end marker had already
    arrived (where only that is missing, the text states it); a body that is neither a stream nor JSON;
    an event that is no JSON; an answer of another API; a stream that does not end as its wire's do; an empty answer.
    """
    response = http_attempt.response
    if response is None or response.status is None:
        return http_attempt.fault or Fault("headers", "client", "no answer was waited for")
    if not 200 <= response.status < 300:
        wait = response.status == 503 and _states_a_wait(response)
        return _status_fault(response.status, wait, body, response.header("location"))
    if reading.error:
        return _error_fault(reading, body, _phase(reading, early="first_event"))
    if reading.bad_end is not None:
        return _bad_end_fault(reading, _phase(reading, early="first_event"))
    if http_attempt.fault is not None:
        if reading.saw_done and http_attempt.fault.kind != "too_large":
            return None
        phase = http_attempt.fault.phase
        if phase == "stream":
            phase = _phase(reading, early="first_event")
        if reading.lacks_only_its_end and http_attempt.fault.kind != "too_large":
            return _without_end(http_attempt.fault, reading, phase)
        return Fault(
            phase, http_attempt.fault.kind, http_attempt.fault.text, http_attempt.fault.outcome
        )
    return _content_fault(http_attempt, reading, body)


def _without_end(fault: Fault, reading: AnswerReading, phase: ErrorPhase) -> Fault:
    """Return the fault of a whole answer after which the stream was neither ended nor closed, or broke."""
    kind: ErrorKind = "no_end" if fault.kind in ("stall", "timeout") else fault.kind
    reason = f" (finish reason {reading.finish_reason})" if reading.finish_reason else ""
    missing = reading.ends_with.partition(" ")[0]
    text = f"the answer was whole{reason}, but {missing} and the end of the response did not come: "
    return Fault(phase, kind, text + fault.text, fault.outcome)


def _error_fault(reading: AnswerReading, body: bytes, phase: ErrorPhase) -> Fault:
    """Return the fault of an error object inside a 200: a filter, a throttle before any text, or a failure."""
    text = words_of(reading.error)
    if reading.bad_end == "filtered" or is_filter(reading.error):
        return Fault(phase, "content_filter", text, "filtered")
    if not reading.event_ns and (is_overload(reading.error) or is_overload(error_in(body))):
        return Fault(phase, refusal_kind([reading.error, error_in(body)]), text, "throttled")
    return Fault(phase, "error_event", text)


def _bad_end_fault(reading: AnswerReading, phase: ErrorPhase) -> Fault:
    reason = reading.finish_reason
    if reading.bad_end == "filtered":
        named = f": its finish reason is {reason}" if reason else ""
        text = f"a content filter ended the answer{named}"
        return Fault(phase, "content_filter", text, "filtered")
    return Fault(phase, "bad_finish", f"the answer's finish reason is {reason}")


def _content_fault(http_attempt: HttpAttempt, reading: AnswerReading, body: bytes) -> Fault | None:
    """Return the fault of a 200 answer that arrived without a transport fault."""
    if reading.sort == "compressed":
        return Fault(
            "body", "protocol", "the answer is compressed, although identity was requested"
        )
    if reading.sort == "other":
        if not body.strip():
            return Fault("body", "empty_answer", "the answer has no body")
        kind: ErrorKind = "not_sse" if http_attempt.streaming else "bad_json"
        return Fault("body", kind, f"not an API's answer: {_text(body)}")
    if reading.bad_json is not None:
        phase = _phase(reading, early="first_event")
        return Fault(
            phase, "bad_json", f"not JSON: {_text(reading.bad_json)}{_blank_line(reading)}"
        )
    has_content = reading.event_ns or (reading.finish_reason and not _ended_oddly(reading))
    if not has_content and (other := other_api(body, reading.api)) is not None:
        return Fault(
            "body", "not_sse", f"the answer is one of {other}, not of {reading.api}{_odd(reading)}"
        )
    if reading.sort == "json":
        if reading.event_ns or (reading.finish_reason and not _ended_oddly(reading)):
            return None
        return Fault("body", "empty_answer", f"there is no answer in it: {_text(body)}")
    if not reading.stated_its_end:
        if reading.first_event is None:
            return Fault("body", "empty_answer", f"the answer has no event{_odd(reading)}")
        text = f"the stream ended without {reading.ends_with}{_odd(reading)}"
        return Fault("stream", "early_close", text)
    unknown = reading.finish_reason is None and reading.usage is None
    if not reading.event_ns and (unknown or _ended_oddly(reading)):
        text = f"the stream ended without text or finish reason{_odd(reading)}"
        return Fault("stream", "empty_answer", text)
    return None


def _ended_oddly(reading: AnswerReading) -> bool:
    """Return whether a finish reason that is no known name came with no token."""
    usage = reading.usage
    return reading.odd_end and (usage is None or not usage.completion_tokens)


def _odd(reading: AnswerReading) -> str:
    return f'; odd event: "{reading.odd_event}"' if reading.odd_event else ""


def _blank_line(reading: AnswerReading) -> str:
    """Return the fault for data of several lines that is no JSON: perhaps events without the blank line
    between them."""
    lines = (reading.bad_json or b"").count(b"\n{")
    return " (a blank line is missing between events)" if lines else ""


def _phase(reading: AnswerReading, *, early: ErrorPhase) -> ErrorPhase:
    if reading.sort not in ("stream", "none"):
        return "body"
    return early if reading.first_event is None else "stream"


def _states_a_wait(response: ResponseReader) -> bool:
    """Return whether a refusal has a time to wait, in a header or its body: then it is a limit, else a failure."""
    return response.header("retry-after") is not None or stated_wait_s(response, 0.0) is not None


def _status_fault(status: int, states_a_wait: bool, body: bytes, location: str | None) -> Fault:
    error = error_in(body)
    words = words_of(error) if error else _text(body)
    if location and 300 <= status < 400:
        words = f"it redirects to {_address(location)}"
    throttled = status in _THROTTLED or states_a_wait or is_throttle(status, error or words)
    outcome: Outcome = "throttled" if throttled else "error"
    text = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    if error and not throttled and is_filter(error):
        return Fault("headers", "content_filter", text, "filtered")
    kind: ErrorKind = "http_status"
    if throttled and status not in NOT_NOW:
        kind = refusal_kind(error or words)
    return Fault("headers", kind, text, outcome)


def _address(location: str) -> str:
    """Return where a redirect leads, without credentials, query and fragment."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "something that is no URL"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _text(body: bytes) -> str:
    return " ".join(body[:MOST_MASKED].decode("utf-8", "replace").split())
