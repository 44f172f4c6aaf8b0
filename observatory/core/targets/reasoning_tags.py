"""The tags that models put around reasoning in a text. Pure."""

import re

REASONING_TAG = re.compile(
    r"<(/)?(?:[a-z]+:)?(?:think|thinking|thoughts?|reasoning)>"
    r"|(?-i:\[(/)?THINK\])"  # Magistral, Ministral: vLLM's mistral_reasoning_parser.py
    r"|(?-i:<\|(?:START|(END))_THINKING\|>)"  # Cohere: github.com/ddalcu/mlx-serve/issues/213
    r"|(?-i:<\|(?:begin|(end))_of_thought\|>)"  # Sky-T1, OpenThinker
    r"|(?-i:\u25c1(/)?think\u25b7)",  # Kimi: github.com/MoonshotAI/Kimi-Dev/issues/6
    re.IGNORECASE,
)
"""Opening or closing; a closing one has a group (is_closing)."""
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_QUOTES = frozenset("`'\"\u2018\u2019\u201c\u201d")
_LINE = 200
"""Characters of a line that are searched for the backticks around a tag."""


def may_have_tags(text: str) -> bool:
    """Return whether a tag may be in a text; cheaper than a search."""
    return "<" in text or "THINK]" in text or "think\u25b7" in text


def is_closing(tag: re.Match[str]) -> bool:
    """Return whether a match of REASONING_TAG is a closing tag."""
    return tag.lastindex is not None


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
            if not is_closing(tag):
                return 0
        elif depth == 0 and is_closing(tag) and end:
            return end
        depth = max(0, depth + (-1 if is_closing(tag) else 1))
        at = tag.end()
        if depth == 0:
            end = at
    return end if depth == 0 else len(text)


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    """Return whether a tag is between quotes, or within inline code of its line."""
    begin, end = tag.span()
    around = {text[begin - 1 : begin], text[end : end + 1]}
    if around <= _QUOTES:
        return True
    before = text[max(text.rfind("\n", 0, begin) + 1, begin - _LINE) : begin]
    after = text[end : end + _LINE].partition("\n")[0]
    return before.count("`") % 2 == 1 and "`" in after
