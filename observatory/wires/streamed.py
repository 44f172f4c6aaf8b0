"""Whether an answer really came as a stream, by what arrived. Pure."""

from collections.abc import Sequence
from itertools import accumulate

from observatory.core.record import Tokens
from observatory.wires.answer_reading import AnswerReading

MOST_TOKENS_OF_ONE_EVENT = 4
"""Of an answer's only event: an engine that decodes speculatively, or sends every fourth step, puts so many
into an event."""
MOST_TOKENS_OF_A_STEP = 8
"""Of each event where there are several: speculative decoding with seven drafted tokens."""
FEWEST_CHARACTERS_A_TOKEN, MOST_CHARACTERS_A_TOKEN = 2, 16
"""With fewer, most of the counted tokens have no text here; with more, the count is not of this text."""
MOST_CHARACTERS_OF_ONE_EVENT, MOST_CHARACTERS_OF_A_STEP = 32, 40
"""Where tokens are not counted: about so many tokens' characters."""
MOST_EVENTS = 16
"""An answer in more text events is a stream, also one that was held back on the way."""
NEARLY_ALL = 0.9
"""Of the characters of the answer, or of its reasoning."""
AT_ONCE = 0.02
"""Events whose spread is no more than this share of the time since the request came at one instant."""
NEARLY_THEN = 0.1
"""Text that came before nearly all of it, by no more than this share of the time, was no first token."""


def came_as_stream(
    reading: AnswerReading, tokens: Tokens, *, streaming: bool, sent: int | None = None
) -> bool | None:
    """Return False where all text came at once, so that the first token's instant is the whole answer's.

    That is so of a JSON document, also where a stream was requested, and of a stream of which nearly all the
    text came at one instant in events larger than engines send; where there are reasoning and an answer, of
    both. A tool call may be one event in any stream: several engines parse it first. sent: when the request
    was. None: there is no text.
    """
    events = len(reading.event_ns)
    if not events:
        return None
    if reading.sort == "json" or not streaming:
        return False
    if events > MOST_EVENTS or reading.tools:
        return True
    if events > 1 and max(reading.event_characters) <= (
        FEWEST_CHARACTERS_A_TOKEN * MOST_TOKENS_OF_A_STEP
    ):
        return True
    cut = _first_of_the_answer(reading)
    parts = [range(cut), range(cut, events)] if 0 < cut < events else [range(events)]
    return not all(_came_at_once(reading, tokens, part, sent) for part in parts)


def _first_of_the_answer(reading: AnswerReading) -> int:
    """Return the number of events that are all the reasoning; 0 where reasoning and answer are mixed."""
    thought = sum(map(len, reading.reasoning_pieces))
    ends = list(accumulate(reading.event_characters))
    return ends.index(thought) + 1 if thought in ends else 0


def _came_at_once(reading: AnswerReading, tokens: Tokens, part: range, sent: int | None) -> bool:
    """Return whether nearly all text of these events came at one instant, in large events."""
    characters = reading.event_characters
    total = sum(characters[place] for place in part)
    for first in part:
        last = _last_at_once(reading.event_ns, first, part[-1], sent)
        own = sum(characters[first : last + 1])
        if own >= NEARLY_ALL * total:
            large = _are_large(own, last + 1 - first, reading, tokens)
            return large and not _has_first_token(reading, part[0], first, sent)
    return False


def _last_at_once(instants: Sequence[int], first: int, last: int, sent: int | None) -> int:
    """Return the last event that came at the same instant as the event `first`."""
    since = instants[first] if sent is None else sent
    while last > first and instants[last] - instants[first] > AT_ONCE * (instants[last] - since):
        last -= 1
    return last


def _are_large(own: int, events: int, reading: AnswerReading, tokens: Tokens) -> bool:
    """Return whether so many characters in so many events are more than the steps of an engine."""
    alone = len(reading.event_ns) == 1
    if tokens.streamed and tokens.streamed_from in ("usage", "characters"):
        counted = tokens.streamed * own / sum(reading.event_characters)
        if own <= MOST_CHARACTERS_A_TOKEN * counted:
            if counted <= events * (MOST_TOKENS_OF_ONE_EVENT if alone else MOST_TOKENS_OF_A_STEP):
                return False
            if own >= FEWEST_CHARACTERS_A_TOKEN * counted:
                return True
    return own > events * (MOST_CHARACTERS_OF_ONE_EVENT if alone else MOST_CHARACTERS_OF_A_STEP)


def _has_first_token(reading: AnswerReading, begin: int, first: int, sent: int | None) -> bool:
    """Return whether text other than blanks came clearly before the event `first`."""
    instants = reading.event_ns
    if first == begin or sent is None:
        return first != begin
    if instants[first] - instants[begin] <= NEARLY_THEN * (instants[first] - sent):
        return False
    ends = [0, *accumulate(reading.event_characters)]
    text = "".join(reading.reasoning_pieces) + "".join(reading.content_pieces)
    return bool(text[ends[begin] : ends[first]].strip())
