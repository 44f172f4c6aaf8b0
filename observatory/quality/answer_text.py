"""What of a model's text is its answer: reasoning taken off, fences opened, letters folded.

Pure and linear in the text's length, because it runs between two reads of a load worker; nothing
here knows of scorers, references or records.
"""

import re
import unicodedata

from observatory.core.targets.reasoning_tags import REASONING_TAG, is_closing, leading_reasoning

_WORD = re.compile(r"\S{1,256}")
"""A piece short enough for `unicodedata.normalize`, which takes quadratic time on a long run of
combining marks (3.7 s for 65,536 of them on CPython 3.11)."""
_LONGEST_NORMALISED = 512
"""Characters kept of a normalised piece: single characters exist that become eighteen."""
_FENCE = ("```", "~~~")
_REFUSAL = re.compile(
    r"[\s\"'*_>]*(?:(?:i'?m|i am|we're|we are)\s+(?:really\s+|very\s+|so\s+)?sorry\b|sorry\s*[,.]"
    r"|i\s+apologi[sz]e\b|(?:unfortunately|regrettably),?\s+i\b"
    r"|as\s+an?\s+(?:ai|language\s+model|artificial)\b"
    r"|i\s+(?:cannot|can\s?not|can't|won't|will\s+not|am\s+unable|am\s+not\s+able|must\s+decline)\b"
    r"|i'm\s+(?:unable|not\s+able)\b)",
    re.IGNORECASE,
)
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


def without_reasoning(text: str, *, reasoned: bool = False) -> str:
    """Return `text` without its reasoning blocks (core/targets/reasoning_tags.py has their tags).

    A block that never closes takes the rest with it. What comes before a closing tag without an opening one is
    reasoning too, as `leading_reasoning` defines it; reasoned: see there.
    """
    text = text[leading_reasoning(text, reasoned=reasoned) :]
    kept: list[str] = []
    depth = 0
    at = 0
    for tag in REASONING_TAG.finditer(text):
        if is_closing(tag) and not depth:
            continue
        if depth == 0:
            kept.append(text[at : tag.start()])
        depth += -1 if is_closing(tag) else 1
        at = tag.end()
    if depth == 0:
        kept.append(text[at:])
    return "".join(kept)


def fenced_blocks(text: str) -> list[str]:
    """Return the insides of the fenced code blocks; one that never closes reaches to the end."""
    blocks: list[str] = []
    inside: list[str] | None = None
    fence = ""
    for line in text.splitlines():
        opening = line.lstrip()[:3]
        if inside is None:
            if opening in _FENCE:
                inside, fence = [], opening
        elif opening == fence:
            blocks.append("\n".join(inside))
            inside = None
        else:
            inside.append(line)
    if inside is not None:
        blocks.append("\n".join(inside))
    return blocks


def opens_with_refusal(text: str) -> bool:
    """Return whether the first words are a usual refusal ("I'm sorry", "I cannot", "As an AI"; English)."""
    return _REFUSAL.match(text[:400].translate(_QUOTES)) is not None


def compatible(text: str) -> str:
    """Return `text` in Unicode's NFKC form, straight quotes for curly ones, each 256-character piece apart."""
    if text.isascii():
        return text
    return _WORD.sub(_normalised, text).translate(_QUOTES)


def folded(text: str) -> str:
    """Return `compatible` text, case-folded, every run of white space one space, none at the ends."""
    return " ".join(compatible(text).casefold().split())


def _normalised(word: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", word[0])[:_LONGEST_NORMALISED]
