"""Whether an answer's token counts can be true, by the answer itself. Pure.

No bill is computed from counts that cannot be true, and a cap counts the worst case instead.
store/token_charges.py has the same rule in SQL.
"""

from observatory.core.record import Attempt

CHARACTERS_A_TOKEN = 16
"""On average over an answer, more than any tokenizer packs into a token: English has 4 to 5."""


def billable(attempt: Attempt) -> bool:
    """Whether a bill may be computed from the answer's counts: usage states the output, the answer came to
    its end, and nothing in it contradicts them.

    A count of events is no statement of what is billed. Some services count along in every event: of an
    answer that broke off, such usage is what had come so far, and not what is billed.
    """
    if attempt.tokens.output is None or attempt.tokens.output_from != "usage":
        return False
    if attempt.outcome != "ok" and attempt.finish_reason is None and not attempt.saw_done:
        return False
    return not contradicted(attempt)


def contradicted(attempt: Attempt) -> bool:
    """Whether the answer contradicts what its usage counts.

    A text event is at least a token; a token is at most so many characters; a prompt has a token at
    least; and what came from the cache or went to it is a part of the prompt.
    """
    counts = attempt.tokens
    cached = (counts.cached or 0) + (counts.cache_write or 0)
    if counts.prompt is not None and cached > counts.prompt:
        return True
    if counts.output is None or counts.output_from != "usage":
        return False
    characters = attempt.answer_characters + attempt.reasoning_characters
    return (
        counts.prompt == 0
        or counts.output < len(attempt.event_ns)
        or counts.output * CHARACTERS_A_TOKEN < characters
    )
