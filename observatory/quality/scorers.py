"""Score one answer deterministically, by the scorer that its task names.

Called by load workers between two reads of a socket: nothing heavy is imported, nothing is
stored, and the time is bounded for any answer (answers are cut at ANSWER_LIMIT).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from observatory.quality.answer_text import opens_with_refusal, without_reasoning
from observatory.quality.json_fields import json_fields, parse_reference
from observatory.quality.labels import label
from observatory.quality.numeric import number, parse_number
from observatory.quality.texts import exact, references, token_f1

ANSWER_LIMIT = 65_536
"""Characters of an answer, reasoning taken off, that are judged; of a longer one its first and
last half as many."""
_TRUNCATED = frozenset({"length", "max_tokens", "model_length", "max_output_tokens"})
_WITHHELD = frozenset({"content_filter", "refusal", "safety", "recitation", "prohibited_content"})


class Score(msgspec.Struct, frozen=True):
    """value is 0 to 1, or None where nothing (usable) was expected; note has the reasons for doubt.

    note joins codes by ", ": truncated, refused, empty, cut, unusable_reference from the guards,
    then the scorer's own (no_label, several_labels, other_label, no_number, other_number,
    invalid_json, wrapped); None where there is none.
    """

    value: float | None
    scorer: str
    note: str | None = None


def score(
    scorer: str,
    expected: Any,
    answer: str,
    *,
    finish_reason: str | None,
    labels: Sequence[str] | None,
    reasoned: bool = False,
) -> Score:
    """Return the score of one answer. Raise ValueError only for a scorer that does not exist.

    An answer that was cut off at its token limit is judged as received and noted truncated. One
    that the provider withheld (content_filter and similar reasons) scores 0, refused; one that opens as a
    refusal scores 0, refused, unless its own score is at least a half. An empty one, or one that
    is all reasoning, scores 0, empty. reasoned: its reasoning was taken off already.
    """
    if scorer not in SCORER_NAMES:
        raise ValueError(f"no scorer {scorer!r}; there are {', '.join(SCORER_NAMES)}")
    if scorer == "none" or expected is None:
        return Score(None, scorer)
    if reference_problem(scorer, expected, labels) is not None:
        return Score(None, scorer, "unusable_reference")
    reason = (finish_reason or "").casefold()
    if reason in _WITHHELD:
        return Score(0.0, scorer, "refused")
    notes = ["truncated"] if reason in _TRUNCATED else []
    text = without_reasoning(answer, reasoned=reasoned)
    if len(text) > ANSWER_LIMIT:
        text = text[: ANSWER_LIMIT // 2] + "\n" + text[-ANSWER_LIMIT // 2 :]
        notes.append("cut")
    if not text.strip():
        return Score(0.0, scorer, ", ".join([*notes, "empty"]))
    value, note = _judge(scorer, expected, text, labels)
    if value < 0.5 and opens_with_refusal(text):
        return Score(0.0, scorer, ", ".join([*notes, "refused"]))
    if note is not None:
        notes.append(note)
    return Score(value, scorer, ", ".join(notes) or None)


SCORER_NAMES = ("label", "number", "json", "token_f1", "exact", "none")


def reference_problem(scorer: str, expected: Any, labels: Sequence[str] | None) -> str | None:
    """Return in words why `scorer` cannot use `expected`; None where it can."""
    try:
        match scorer:
            case "label":
                if not isinstance(expected, str) or not expected.strip():
                    return "a label must be a text that is not empty"
                if labels and expected not in labels:
                    return f"{expected!r} is not one of the labels {', '.join(labels)}"
            case "number":
                if parse_number(expected) is None:
                    return f"{expected!r} is not a number"
            case "json":
                parse_reference(expected)
            case "token_f1" | "exact":
                if sum(map(len, references(expected))) > ANSWER_LIMIT:
                    return f"a reference longer than {ANSWER_LIMIT} characters cannot be met"
            case _:
                return None
    except ValueError as error:
        return str(error)
    return None


def _judge(
    scorer: str, expected: Any, text: str, labels: Sequence[str] | None
) -> tuple[float, str | None]:
    match scorer:
        case "label":
            return label(expected, text, labels)
        case "number":
            return number(expected, text)
        case "json":
            return json_fields(expected, text)
        case "token_f1":
            return token_f1(expected, text)
        case _:
            return exact(expected, text)
