"""Whether an answer's token counts can be true, by the answer itself. Pure.

No bill is computed from counts that cannot be true, and a cap counts the worst case instead.
"""

from typing import NamedTuple

from observatory.core.record import Attempt

CHARACTERS_A_TOKEN = 16
"""On average over an answer, more than any tokenizer packs into a token: English has 4 to 5."""


class AnswerCounts(NamedTuple):
    """What decides about the counts of one attempt. events: those with text; characters: of all its text.

    Token counts are None where they are not known.
    """

    prompt: int | None
    cached: int | None
    cache_write: int | None
    output: int | None
    output_from: str | None
    outcome: str
    finish_reason: str | None
    saw_done: bool
    events: int
    characters: int


def counts_of(attempt: Attempt) -> AnswerCounts:
    """Return the counts of an attempt's record."""
    tokens = attempt.tokens
    return AnswerCounts(
        tokens.prompt,
        tokens.cached,
        tokens.cache_write,
        tokens.output,
        tokens.output_from,
        attempt.outcome,
        attempt.finish_reason,
        attempt.saw_done,
        len(attempt.event_ns),
        attempt.answer_characters + attempt.reasoning_characters,
    )


def billable(counts: AnswerCounts) -> bool:
    """Return whether a bill may be computed from the counts: usage states the output, the answer came to its end,
    and nothing in it contradicts them.

    A count of events is no statement of what is billed. Some services count along in every event: of an
    answer that broke off, such usage is what had come so far, and not what is billed.
    """
    if counts.output is None or counts.output_from != "usage":
        return False
    if counts.outcome != "ok" and counts.finish_reason is None and not counts.saw_done:
        return False
    return not contradicted(counts)


def contradicted(counts: AnswerCounts) -> bool:
    """Return whether the answer contradicts what its usage counts.

    A text event is at least a token; a token is at most so many characters; a prompt has a token at
    least; and what came from the cache or went to it is a part of the prompt.
    """
    cached = (counts.cached or 0) + (counts.cache_write or 0)
    if counts.prompt is not None and cached > counts.prompt:
        return True
    if counts.output is None or counts.output_from != "usage":
        return False
    return (
        counts.prompt == 0
        or counts.output < counts.events
        or counts.output * CHARACTERS_A_TOKEN < counts.characters
    )
