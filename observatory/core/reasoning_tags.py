"""The tags that models put around reasoning in a text. Pure."""

import re

REASONING_TAG = re.compile(
    r"<(/?)(?:[a-z]+:)?(?:think|thinking|thoughts?|reasoning)>", re.IGNORECASE
)
"""Opening or closing, the latter with a slash as its group."""
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_QUOTES = frozenset("`'\"\u2018\u2019\u201c\u201d")
_LINE = 200
"""Characters of a line that are searched for the backticks around a tag."""


def leading_reasoning(text: str, *, reasoned: bool = False) -> int:
    """Return the offset in `text` where the reasoning at its start ends; 0 where it starts with none.

    Blanks may come before a block. A block that never closes takes the whole text. A closing tag without an
    opening one ends reasoning that began in the prompt (chat templates of DeepSeek-R1 and Qwen3 open it there),
    unless the tag is in code or in quotes. reasoned: the answer's reasoning is known already, so that only
    blanks may come before such a tag.
    """
    at = end = depth = fences = counted = 0
    for tag in REASONING_TAG.finditer(text):
        if depth == 0 and text[at : tag.start()].strip():
            if end or reasoned:
                return end
            fences += sum(1 for _ in _FENCE.finditer(text, counted, tag.start()))
            counted = tag.start()
            if fences % 2 or _is_quoted(text, tag):
                continue
            if not tag[1]:
                return 0
        elif depth == 0 and tag[1] and end:
            return end
        depth = max(0, depth + (-1 if tag[1] else 1))
        at = tag.end()
        if depth == 0:
            end = at
    return end if depth == 0 else len(text)


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag is between quotes, or within inline code of its line."""
    begin, end = tag.span()
    around = {text[begin - 1 : begin], text[end : end + 1]}
    if around <= _QUOTES:
        return True
    before = text[max(text.rfind("\n", 0, begin) + 1, begin - _LINE) : begin]
    after = text[end : end + _LINE].partition("\n")[0]
    return before.count("`") % 2 == 1 and "`" in after
