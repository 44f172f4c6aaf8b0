"""What one HTTP attempt left behind, and what was read out of it: the nouns on either side of the decoder.

Instants are nanoseconds from the run's anchor, None where they never happened.
"""

from dataclasses import dataclass

import msgspec

from observatory.core.record import Attempt, ErrorKind, ErrorPhase, Outcome, StampSource
from observatory.wires.streams.http_response import ResponseReader


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt ended before its answer was whole. text is for people and is masked when stored."""

    phase: ErrorPhase
    kind: ErrorKind
    text: str
    outcome: Outcome = "error"


class HttpAttempt(msgspec.Struct, eq=False):
    """One attempt as the transport saw it. streaming: an event stream was requested.

    A struct, as DecodedAnswer is, because one is made for every answer: its fields are set in C.
    """

    number: int = 0
    streaming: bool = True
    response: ResponseReader | None = None
    connect_started: int | None = None
    resolved: int | None = None
    connected: int | None = None
    sent: int | None = None
    body_sent: int | None = None
    ended: int | None = None
    bytes_sent: int = 0
    reused: bool = False
    stamp_source: StampSource = "read"
    fault: Fault | None = None


class DecodedAnswer(msgspec.Struct, frozen=True):
    """A decoded attempt: the record of it, and its texts (tool calls as "name(arguments)" lines)."""

    attempt: Attempt
    text: str
    reasoning: str
    tool_text: str
