"""Whether two runs may be compared, and which of them a figure favours, if it favours one at all.

Pure. The rules keep a page within what the runs show: an emulated target enters no
statement, different questions are not compared, and no model wins without its score next to it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from observatory.analysis.comparison import two_runs
from observatory.analysis.statistics.estimate import Estimate
from observatory.core.metric import BY_NAME, FOREIGN_CPU_APART
from observatory.core.stage_words import human_stage
from observatory.core.units import human_number, human_seconds

REASONS: dict[str, str] = {
    "emulated": "one of them is emulated: its figures are of no real service",
    "different_questions": "they did not do the same work",
    "invalid_run": "one of the runs is invalid",
    "not_judged": "one of the runs has no verdict",
    "foreign_cpu": "other work took shares of the machine that differ by more than 10 % of it",
    "not_streamed": "the answers of one of them did not come as streams",
    "no_direction": "neither more nor less of it is better",
    "no_value": "one of them has no value for it",
    "different_tokenizers": "their tokens are not known to be the same unit",
    "no_score": "they are different models without a score each",
    "no_interval": "a difference without intervals may be noise",
    "within_noise": "the 95 % interval of the difference includes 0",
}
"""Why there is no statement, by code."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """What must be known of a run to compare it."""

    run_id: str
    target: str
    emulated: bool
    comparison_key: str
    comparison_fields: Mapping[str, Any]
    verdict: str | None = None
    model: str | None = None
    tokenizer: str | None = None
    foreign_cpu: Mapping[int, float] = field(default_factory=dict)
    """Stage -> the share of the machine that other work took; a stage where it is not known is left out."""
    not_streamed: frozenset[int] = frozenset()
    """Stages whose answers came at once."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs, by its dotted path; None where a side lacks it."""

    field: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Statement:
    """What one figure shows of two runs. better is a target's name, or None for the given reason.

    difference is second - first and ratio second / first, each with its 95 % interval, where both have a
    value and other work took a like share of both; else they have no value. text is one line for reading.
    """

    stage: int
    metric: str
    statistic: str
    first: Estimate
    second: Estimate
    better: str | None
    reason: str | None
    difference: Estimate
    ratio: Estimate
    text: str


def differences(first: ComparedRun, second: ComparedRun) -> list[Difference]:
    """Return which fields keep two runs from being compared; none where their keys are equal."""
    if first.comparison_key == second.comparison_key:
        return []
    found = list(_differing("", first.comparison_fields, second.comparison_fields))
    return found or [Difference("comparison_key", first.comparison_key, second.comparison_key)]


def statement(
    first: ComparedRun,
    second: ComparedRun,
    key: tuple[int, str, str],
    figures: tuple[Estimate, Estimate],
    scores: tuple[Estimate | None, Estimate | None] = (None, None),
) -> Statement:
    """Compare two runs by a figure, keyed (stage, metric, statistic), with their scores."""
    stage, metric, statistic = key
    mine, other = figures
    apart = _apart(first, second, stage)
    change, times = (
        (Estimate(), Estimate())
        if apart
        else (two_runs.difference(mine, other), two_runs.ratio(mine, other))
    )
    reason = _why_silent(first, second, (stage, metric), figures, scores, apart)
    better = None
    if reason is None:
        assert mine.value is not None
        assert other.value is not None
        first_wins = (mine.value < other.value) == (BY_NAME[metric].better == "lower")
        better = first.target if first_wins else second.target
    text = _text(first, second, key, figures, scores, better, reason)
    return Statement(stage, metric, statistic, mine, other, better, reason, change, times, text)


def _why_silent(
    first: ComparedRun,
    second: ComparedRun,
    key: tuple[int, str],
    figures: tuple[Estimate, Estimate],
    scores: tuple[Estimate | None, Estimate | None],
    apart: bool,
) -> str | None:
    """Return the first reason against a statement, None where it may be made. key: stage and metric."""
    stage, metric = key
    other_model = first.model is None or first.model != second.model
    other_tokens = first.tokenizer is None or first.tokenizer != second.tokenizer
    unscored = any(score is None or score.value is None for score in scores)
    ends = [end for each in figures for end in (each.low, each.high)]
    rules = (
        ("emulated", first.emulated or second.emulated),
        ("different_questions", first.comparison_key != second.comparison_key),
        ("invalid_run", "invalid" in (first.verdict, second.verdict)),
        ("not_judged", None in (first.verdict, second.verdict)),
        ("foreign_cpu", apart),
        ("not_streamed", (stage in first.not_streamed) != (stage in second.not_streamed)),
        ("no_direction", BY_NAME[metric].better == "neither"),
        ("no_value", any(each.value is None for each in figures)),
        (
            "different_tokenizers",
            "per_token" in BY_NAME[metric].traits and other_model and other_tokens,
        ),
        ("no_score", metric != "score" and other_model and unscored),
        ("no_interval", any(end is None or math.isnan(end) for end in ends)),
        ("within_noise", not _differ(*figures)),
    )
    return next((code for code, applies in rules if applies), None)


def _apart(first: ComparedRun, second: ComparedRun, stage: int) -> bool:
    """Return whether other work took shares of the machine that are too different for a ratio."""
    mine, other = first.foreign_cpu.get(stage), second.foreign_cpu.get(stage)
    return mine is not None and other is not None and abs(mine - other) > FOREIGN_CPU_APART


def _differ(first: Estimate, second: Estimate) -> bool:
    change = two_runs.difference(first, second)
    return change.low is not None and change.high is not None and not change.low <= 0 <= change.high


def _text(
    first: ComparedRun,
    second: ComparedRun,
    key: tuple[int, str, str],
    figures: tuple[Estimate, Estimate],
    scores: tuple[Estimate | None, Estimate | None],
    better: str | None,
    reason: str | None,
) -> str:
    stage, metric, statistic = key
    what = BY_NAME[metric].title if statistic == "value" else f"{BY_NAME[metric].title} {statistic}"
    mine, other = (_figure(metric, each.value) for each in figures)
    line = f"{human_stage(stage)}: {what} {mine} ({first.target}) against {other} ({second.target})"
    if reason is not None:
        return f"{line}; no statement: {REASONS[reason]}"
    line = f"{line}; {better} is better"
    if metric != "score" and all(score is not None for score in scores):
        score_texts = [_figure("score", score.value if score else None) for score in scores]
        line = f"{line}; scores {score_texts[0]} against {score_texts[1]}"
    return line


def _figure(metric: str, value: float | None) -> str:
    unit = BY_NAME[metric].unit
    if unit == "s":
        return human_seconds(value)
    return human_number(value) + ("" if unit == "1" or value is None else f" {unit}")


def _differing(path: str, first: Any, second: Any) -> Iterator[Difference]:
    """Yield leaves that differ, lists by place; a missing field is None."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for name in sorted({*first, *second}):
            below = f"{path}.{name}" if path else str(name)
            yield from _differing(below, first.get(name), second.get(name))
    elif isinstance(first, list) and isinstance(second, list):
        for place in range(max(len(first), len(second))):
            pair = [each[place] if place < len(each) else None for each in (first, second)]
            yield from _differing(f"{path}[{place}]", *pair)
    elif first != second:
        yield Difference(path, first, second)
