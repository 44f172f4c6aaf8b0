"""The only sentences that compare targets; the rules that keep them honest are analysis.compare's.

Here it is chosen which pairs and figures are compared, and one rule is added: an example price is
a real price of no provider, so it wins nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from observatory.analysis.comparison import compare
from observatory.analysis.statistics.estimate import Estimate
from observatory.core.metric import BY_NAME, FOREIGN_CPU
from observatory.presentation.figures import Figure, StageFigures
from observatory.site.loads import Load
from observatory.site.members import UNJUDGED, MemberRun, side_of

COMPARED = (
    ("ttft_s", "p50"),
    ("e2e_s", "p50"),
    ("usd_per_1k_requests", "value"),
    ("j_per_request", "value"),
)
UNFIT_BASES = frozenset({"example", "emulated"})


@dataclass(frozen=True, slots=True)
class StatementSide:
    """One target in a statement, with its score."""

    member: MemberRun
    figure: Figure
    score: Figure


@dataclass(frozen=True, slots=True)
class ComparisonSentence:
    """A sentence, and the sides it is about (empty where it explains why there is none)."""

    sentence: str
    sides: list[StatementSide]


def statements(members: Sequence[MemberRun]) -> list[ComparisonSentence]:
    """Return the key findings about runs with one comparison key, at the highest load they all reached."""
    fit = [member for member in members if _fit(member)]
    if len(fit) < 2:
        return [ComparisonSentence(_alone(members, fit), [])]
    common = set.intersection(*({load.stage for load, _ in one.stages} for one in fit))
    shared = [load for load, _ in fit[0].stages if load.stage in common]
    if not shared:
        return [
            ComparisonSentence("The targets reached no load in common, so nothing is compared.", [])
        ]
    load = max(shared, key=lambda load: load.level)
    found = []
    for metric, statistic in COMPARED:
        sides = [_side(member, load, metric, statistic) for member in fit]
        sides = [
            side for side in sides if side.figure.drawable and side.figure.basis not in UNFIT_BASES
        ]
        if len(sides) >= 2:
            found.append(_compare(load, sides))
    return found or [
        ComparisonSentence("No figure is at hand for two real targets, so nothing is compared.", [])
    ]


def _fit(member: MemberRun) -> bool:
    judged = member.verdict not in ("invalid", UNJUDGED)
    return judged and not member.style.emulated and bool(member.stages)


def _alone(members: Sequence[MemberRun], fit: Sequence[MemberRun]) -> str:
    names = ", ".join(member.style.target for member in members if member.style.emulated)
    aside = ""
    if names:
        aside = f" Left out of the comparison, because it is emulated: {names}."
    if not fit:
        return f"No real target was measured well enough to compare.{aside}"
    return f"Only one real target was measured, so nothing is compared.{aside}"


def _side(member: MemberRun, load: Load, metric: str, statistic: str) -> StatementSide:
    figures = next(
        (found for own, found in member.stages if own.stage == load.stage), StageFigures({})
    )
    return StatementSide(member, figures.get(metric, statistic), figures.get("score"))


def _compare(load: Load, sides: list[StatementSide]) -> ComparisonSentence:
    """Return of the best side and the next one, by value."""
    figure = sides[0].figure
    lower = BY_NAME[figure.metric].better != "higher"
    ranked = sorted(sides, key=lambda side: (side.figure.value or 0.0) * (1 if lower else -1))
    best, second = ranked[0], ranked[1]
    made = compare.statement(
        _runs_side(best.member, load),
        _runs_side(second.member, load),
        (load.stage, figure.metric, figure.statistic),
        (_estimate(best.figure), _estimate(second.figure)),
        (_estimate(best.score), _estimate(second.score)),
    )
    title = figure.title[0].lower() + figure.title[1:]
    names = f"{best.member.style.target} and {second.member.style.target}"
    values = f"{_figure_text(best.figure)} against {_figure_text(second.figure)}"
    if made.better is not None:
        sentence = (
            f"At {load.text}, {best.member.style.target} has the "
            f"{'lowest' if lower else 'highest'} {title}: {values} for "
            f"{second.member.style.target}{_times(made.ratio)}."
        )
    elif made.reason == "within_noise":
        sentence = f"At {load.text}, {names} cannot be told apart in {title}: {values}{_times(made.ratio)}."
    else:
        why = compare.REASONS.get(made.reason or "", made.reason or "")
        return ComparisonSentence(f"No statement on {title} between {names}: {why}.", [])
    return ComparisonSentence(sentence, [best, second])


def _runs_side(member: MemberRun, load: Load) -> compare.ComparedRun:
    """Return the run's side, with the share of the machine that other work took at this load."""
    figure = _side(member, load, FOREIGN_CPU, "value").figure
    shares = {} if figure.value is None else {load.stage: figure.value}
    return replace(side_of(member.run), foreign_cpu=shares)


def _estimate(figure: Figure) -> Estimate:
    return Estimate(value=figure.value, low=figure.low, high=figure.high, n=figure.n)


def _times(ratio: Estimate) -> str:
    """Return the ratio of the second figure to the first with its 95 % interval."""
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return ""
    high = "no upper end" if math.isinf(ratio.high) else f"{ratio.high:.3g}"
    return f", a ratio of {ratio.value:.3g} ({ratio.low:.3g}–{high})"


def _figure_text(figure: Figure) -> str:
    basis = f", {figure.modelled.replace('_', ' ')}" if figure.modelled else ""
    inside = f"{figure.interval}{basis}" if figure.interval else basis.lstrip(", ")
    return f"{figure.text} ({inside})" if inside else figure.text
