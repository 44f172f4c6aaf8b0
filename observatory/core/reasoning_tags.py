"""The tags that models put around reasoning in a text. Pure."""

import re

REASONING_TAG = re.compile(
    r"<(/?)(?:[a-z]+:)?(?:think|thinking|thoughts?|reasoning)>", re.IGNORECASE
)
"""Opening or closing, the latter with a slash as its group."""


def leading_reasoning(text: str) -> int:
    """Return where the reasoning blocks at the start of `text` end; 0 where it starts with no opening tag.

    Blanks may come before a block. A block that never closes takes the whole text.
    """
    at = end = depth = 0
    for tag in REASONING_TAG.finditer(text):
        if depth == 0 and (tag[1] or text[at : tag.start()].strip()):
            return end
        depth += -1 if tag[1] else 1
        at = tag.end()
        if depth == 0:
            end = at
    return end if depth == 0 else len(text)
