"""Find which of a closed list of labels an answer names.

An answer that names two labels scores 0 in every form: the prompt requires one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from observatory.quality.answer_text import folded

_WORDS = re.compile(r"[^\W_]+")
_LEAD = re.compile(r"^(?:the )?(?:final )?(?:answer|label|category|class|intent)(?: is)? ")


def label(expected: str, answer: str, labels: Sequence[str] | None) -> tuple[float, str | None]:
    """Return 1.0 where the answer names `expected` and no other label, else 0.0 and why.

    Letters are folded; hyphens, underscores and spaces are one. The first or the last line alone
    decides where it is nothing but a label; else every label named anywhere counts, the longest
    first ("card payment fee" does not name "card payment"). Without a list of labels only such a
    line counts. Notes: no_label, several_labels, other_label.
    """
    wanted = _key(expected)
    names = frozenset(labels) if labels else frozenset((expected,))
    keys, pattern = _compiled(names | {expected})
    lines = [line for line in answer.splitlines() if line.strip()]
    named = {
        found for line in (lines[:1] + lines[-1:]) if (found := _label_line(line, keys)) is not None
    }
    if not named and labels and pattern is not None:
        named = {match[1] for match in pattern.finditer(f" {_key(answer)} ")}
    if named == {wanted}:
        return 1.0, None
    if len(named) > 1:
        return 0.0, "several_labels"
    return 0.0, "other_label" if named else "no_label"


def _key(text: str) -> str:
    """Return the common key of a label's spellings; a label without letters or digits is its own key."""
    flat = folded(text)
    return " ".join(_WORDS.findall(flat)) or flat


def _label_line(line: str, keys: frozenset[str]) -> str | None:
    key = _key(line)
    if key in keys:
        return key
    bare = _LEAD.sub("", key, count=1)
    return bare if bare in keys else None


@lru_cache(maxsize=64)
def _compiled(names: frozenset[str]) -> tuple[frozenset[str], re.Pattern[str] | None]:
    """Return the labels' keys, and a pattern that finds them as whole words, the longest first."""
    keys = frozenset(_key(name) for name in names)
    spoken = sorted((key for key in keys if _WORDS.search(key)), key=lambda key: (-len(key), key))
    if not spoken:
        return keys, None
    alternatives = "|".join(map(re.escape, spoken))
    return keys, re.compile(rf"(?<= )({alternatives})(?= )")
