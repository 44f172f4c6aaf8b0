"""The only sentences that compare targets, and the rules that keep them honest.

No emulated target, no invalid or unjudged run, no example price, and between models no winner
without a score beside it. An interval that overlaps is said to overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.core.metric import BY_NAME
from observatory.site.figures import Figure, Figures
from observatory.site.loads import Load
from observatory.site.members import UNJUDGED, Member

COMPARED = (
    ("ttft_s", "p50"),
    ("e2e_s", "p50"),
    ("usd_per_1k_requests", "value"),
    ("j_per_request", "value"),
)
SCORE = ("score", "value")
UNFIT_BASES = frozenset({"example", "emulated"})


@dataclass(frozen=True, slots=True)
class Side:
    """One target in a statement, with the score that stands beside it."""

    member: Member
    figure: Figure
    score: Figure


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, and the sides it speaks of (empty where it says why nothing is said)."""

    sentence: str
    sides: list[Side]


def statements(members: Sequence[Member]) -> list[Statement]:
    """What may be said of runs with one comparison key, at the highest load they all reached."""
    fit = [member for member in members if _fit(member)]
    stood_in = [member for member in members if member.look.emulated]
    if len(fit) < 2:
        return [Statement(_alone(fit, stood_in), [])]
    common = set.intersection(*({load.stage for load, _ in one.stages} for one in fit))
    shared = [load for load, _ in fit[0].stages if load.stage in common]
    if not shared:
        return [Statement("The targets reached no load in common, so nothing is compared.", [])]
    load = max(shared, key=lambda load: load.level)
    sides = [(member, _at(member, load.stage)) for member in fit]
    found = []
    for metric, statistic in COMPARED:
        candidates = [
            Side(member, figures.get(metric, statistic), figures.get(*SCORE))
            for member, figures in sides
        ]
        candidates = [
            side
            for side in candidates
            if side.figure.drawable and side.figure.basis not in UNFIT_BASES
        ]
        if len(candidates) >= 2:
            found.append(_compare(metric, load, candidates))
    if not found:
        found.append(Statement("No figure is at hand for two real targets, so none wins.", []))
    return found


def _fit(member: Member) -> bool:
    judged = member.verdict not in ("invalid", UNJUDGED)
    return judged and not member.look.emulated and bool(member.stages)


def _at(member: Member, stage: int) -> Figures:
    return next(figures for load, figures in member.stages if load.stage == stage)


def _alone(fit: Sequence[Member], stood_in: Sequence[Member]) -> str:
    names = ", ".join(member.look.target for member in stood_in)
    aside = f" {names} is a seeded stand-in and enters no statement." if stood_in else ""
    if not fit:
        return f"No real target was measured well enough to compare.{aside}"
    return f"Only one real target was measured, so nothing is compared.{aside}"


def _compare(metric: str, load: Load, sides: list[Side]) -> Statement:
    sign = -1 if BY_NAME[metric].better == "higher" else 1
    ranked = sorted(sides, key=lambda side: sign * (side.figure.value or 0.0))
    best, second = ranked[0], ranked[1]
    title = best.figure.title[0].lower() + best.figure.title[1:]
    if len({_model(side.member) for side in ranked}) > 1:
        unscored = [side for side in (best, second) if not side.score.drawable]
        if unscored:
            names = " and ".join(side.member.look.target for side in unscored)
            return Statement(
                f"No statement on {title}: {names} has no score, and speed between models means "
                "nothing without one.",
                [],
            )
    values = f"{_said(best.figure)} against {_said(second.figure)}"
    names = f"{best.member.look.target} and {second.member.look.target}"
    if _overlap(best.figure, second.figure):
        sentence = f"At {load.text}, {names} cannot be told apart in {title}: {values}."
    else:
        sentence = (
            f"At {load.text}, {best.member.look.target} has the lowest {title}: {values} for "
            f"{second.member.look.target}."
        )
    return Statement(sentence, [best, second])


def _model(member: Member) -> str:
    return str(member.run["model_reported"] or member.run["model"] or member.look.target)


def _said(figure: Figure) -> str:
    basis = f", {figure.modelled.replace('_', ' ')}" if figure.modelled else ""
    inside = f"{figure.interval}{basis}" if figure.interval else basis.lstrip(", ")
    return f"{figure.text} ({inside})" if inside else figure.text


def _overlap(best: Figure, second: Figure) -> bool:
    if best.interval is None or second.interval is None:
        return best.value == second.value
    if best.high is None or second.low is None:
        return True
    return best.high >= second.low
