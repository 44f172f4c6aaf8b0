"""Whether an answer really came as a stream, by what arrived. Pure."""

from observatory.core.record import Tokens
from observatory.endpoints.answer_reading import AnswerReading

MOST_TOKENS_OF_ONE_EVENT = 4
"""An engine that decodes speculatively, or sends every fourth step, puts so many into an event."""
FEWEST_CHARACTERS_A_TOKEN = 2
"""With fewer, most of the counted tokens have no text here."""
MOST_CHARACTERS_OF_ONE_EVENT = 32
"""Where tokens are not counted: about so many tokens' characters."""


def came_as_stream(reading: AnswerReading, tokens: Tokens, *, asked: bool) -> bool | None:
    """False: all text came at once, so that the first token's instant is the whole answer's.

    That is so of a JSON document, also where a stream was requested, and of a stream whose only text event
    has more text than engines put into one event. A tool call may be one event in any stream: several
    engines parse it first. None: there is no text.
    """
    if not reading.event_ns:
        return None
    if reading.sort == "json" or not asked:
        return False
    if len(reading.event_ns) > 1 or reading.tools:
        return True
    [characters] = reading.event_characters
    if tokens.output_from == "usage" and tokens.streamed is not None:
        if tokens.streamed <= MOST_TOKENS_OF_ONE_EVENT:
            return True
        if characters >= FEWEST_CHARACTERS_A_TOKEN * tokens.streamed:
            return False
    return characters <= MOST_CHARACTERS_OF_ONE_EVENT
