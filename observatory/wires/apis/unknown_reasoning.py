"""Finds reasoning in a chat event under names that the decoder has no field for. Pure."""

import json
import re
from typing import Any

from observatory.wires.answer_json import THOUGHTS, text_of

_FIELD = re.compile(
    rb'"(?:\w*(?i:reasoning|think|thought)\w*|(?i:cot|chain_of_\w+))"\s*:\s*(?:"[^"]|[\[{])'
)
"""A field that may be reasoning, and is not null or empty."""
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_PLAIN = re.compile(
    r"reasoning|thinking|thoughts?|cot|chain|of|content|text|delta|details|summary|trace|output"
    r"|parts?|blocks?|steps?|message|process|internal|model"
)
"""A word of a name that holds reasoning: any text counts where a name has only such words."""
_NO_PLAIN = re.compile(
    r"available|budget|choice|config|configuration|count|display|done|duration|effort|enabled|encrypted"
    r"|end|ended|finish|finished|format|hash|hidden|id|include|index|kind|language|level|limit|mode|ms"
    r"|name|opaque|options?|phase|policy|provider|reason|redacted|seconds|settings?|signature|stage"
    r"|start|started|state|status|stop|strategy|style|support|supported|tier|time|tokens?|type|usage"
    r"|version|visibility"
)
"""A word of a name that holds no reasoning but a fact about it."""
_SETTING = re.compile(
    r"(?i)\s*(?:adaptive|auto|automatic|concise|default|deep|detailed|disabled|dynamic|enabled|extended"
    r"|false|fast|full|high|interleaved|low|max|maximum|medium|min|minimal|none|null|off|on|standard"
    r"|true|xhigh)\s*"
)
"""What a setting holds: no reasoning, except under a name of plain words."""


def unknown_reasoning(data: bytes) -> str | None:
    """Return the reasoning that a chat event has under a name that is no field of `MessageText`; None without any.

    Names are those of fields of the choice, of its delta or of provider_specific_fields that contain a word of
    reasoning or thinking and hold text, in parts or not. Signatures, what is encrypted, and settings are none.
    """
    small = data.lower()
    # Searches for words cost a tenth of the expression's, and most events have none of them.
    found = b"reasoning" in small or b"think" in small or b"thought" in small
    if not (found or b'"cot"' in small or b"chain_of" in small) or not _FIELD.search(data):
        return None
    try:
        value = json.loads(data.decode("utf-8", "replace"))
        choices = [one for one in value["choices"] if isinstance(one, dict)]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    pieces = (
        text_of(part) or ""
        for choice in choices
        for holder in (choice.get("delta"), choice.get("message"), choice)
        if isinstance(holder, dict)
        for fields in (holder, holder.get("provider_specific_fields"))
        if isinstance(fields, dict)
        for name, part in fields.items()
        if _holds_reasoning(name, part)
    )
    return next((piece for piece in pieces if piece), None)


def _holds_reasoning(name: str, value: Any) -> bool:
    """Return whether a field's name has a word of reasoning, and its value is no setting."""
    if not THOUGHTS.search(name) and not name.lower().startswith("chain_of"):
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    if words[-1] == "model" or any(_NO_PLAIN.fullmatch(word) for word in words):
        return False
    setting = isinstance(value, str) and _SETTING.fullmatch(value) is not None
    return not setting or all(_PLAIN.fullmatch(word) for word in words)
