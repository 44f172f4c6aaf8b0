"""What `observatory limits` found, for people: a column for each limit, and the sentences below it."""

from collections.abc import Sequence

from rich.table import Table

from observatory.analysis.rate_limits.limit_reading import LimitsSeen
from observatory.analysis.rate_limits.limit_words import MISSING, UNFOUND, kind, waits
from observatory.cli.console import open_console
from observatory.core.counted_nouns import count_of
from observatory.limits.limit_probe import LimitAnswer
from observatory.limits.limit_steps import BELOW, counts_refused
from observatory.presentation.dollars import write_usd

TITLES = {"requests": "requests a minute", "tokens": "tokens a minute"}
_ENDED = {
    "found": "found",
    "up_to": "the highest demand requested (--up-to, --up-to-tpm)",
    "max_requests": "--max-requests",
    "max_usd": "--max-usd",
    "max_minutes": "--max-minutes",
    "capacity": "the service itself was full",
    "all_refused": "everything was refused",
    "counts_refused": "refused requests count",
    "failed": "a failure",
    "interrupted": "you",
    "undecided": "the data did not settle it",
}


def print_limits(answers: Sequence[LimitAnswer]) -> None:
    """Print the table and the notes that it needs."""
    console = open_console()
    best = answers[0].best
    mark = " (EMULATED: a stand-in's limits, not a service's)" if best.emulated else ""
    console.print(f"Limits of {best.target}{mark}")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for answer in answers:
        table.add_column(TITLES[answer.unit], overflow="fold")
    for title, cells in _rows(answers):
        table.add_row(title, *cells)
    console.print(table)
    for answer in answers:
        for line in notes(answer):
            console.print(f"{TITLES[answer.unit]}: {line}", soft_wrap=True)
    runs = " ".join(run for answer in answers for run in answer.runs)
    console.print(f"runs: {runs}", soft_wrap=True)


def _rows(answers: Sequence[LimitAnswer]) -> list[tuple[str, list[str]]]:
    costs = [answer.cost_usd for answer in answers]
    rows = [
        ("effective", [effective(answer) for answer in answers]),
        ("advertised (headers)", [_number(answer.advertised_a_minute) for answer in answers]),
        ("effective / advertised", [_number(answer.ratio, ".3f") for answer in answers]),
        ("kind", [kind(answer.best.ceiling) for answer in answers]),
        ("burst", [_number(answer.best.ceiling.burst) for answer in answers]),
        ("refused", [_refused(answer.best) for answer in answers]),
        ("Retry-After", [waits(answer.best) for answer in answers]),
        ("highest demand", [_number(answer.highest_demand_a_minute) for answer in answers]),
        ("requests sent", [_number(answer.requests) for answer in answers]),
        ("cost", [MISSING if usd is None else write_usd(usd) for usd in costs]),
        ("ended by", [_ENDED[answer.ended] if answer.ended else MISSING for answer in answers]),
    ]
    return [row for row in rows if any(cell != MISSING for cell in row[1])]


def effective(answer: LimitAnswer) -> str:
    """Return the ceiling with its interval, or that and why there is none."""
    ceiling = answer.best.ceiling
    if ceiling.a_minute is not None:
        return f"{ceiling.a_minute:,.0f} [{ceiling.low:,.0f}–{ceiling.high:,.0f}]"
    if not any(stage.let_in for stage in answer.stages):
        if any(stage.refused for stage in answer.stages):
            return "not found: everything was refused"
        return f"not found: nothing was {'answered' if answer.requests else 'sent'}"
    if ceiling.reason == "never_refused" or ceiling.reason is None:
        return f"not found: no refusal up to {answer.highest_demand_a_minute:,.0f} a minute"
    return UNFOUND[ceiling.reason]


def notes(answer: LimitAnswer) -> list[str]:
    """Return what the figures need in addition, in sentences."""
    best, ceiling = answer.best, answer.best.ceiling
    lines = []
    answered = any(stage.let_in for stage in answer.stages)
    if ceiling.a_minute is None and answered:
        least = max((stage.ceiling.excluded_below for stage in answer.stages), default=0.0)
        lines.append(
            f"a limit below {least:,.0f} a minute would have refused something, "
            "however it counts a minute"
        )
    if best.unit == "tokens" and answered:
        usage = f"; as usage counts them, {best.by_usage:,.0f}" if best.by_usage else ""
        lines.append(f"counted when admitted, prompt and output limit together{usage}")
    other = "tokens" if best.unit == "requests" else "requests"
    if best.named and best.unit not in best.named:
        lines.append(
            f"the refusals name {other}: that limit was met first, and this is not the one"
        )
    if counts_refused(answer.stages, answer.advertised_a_minute):
        lines.append(
            "a little less than the advertised limit was let in wholly: refused requests count here, "
            "and a client that sends more gets less"
        )
    elif answer.ratio is not None and answer.ratio < BELOW:
        lines.append("below what is advertised; limits are of an organisation: who else uses them?")
    reached = [stage.reached for stage in best.stages if stage.reached]
    if reached:
        lines.append(f"the service's own capacity was reached, which is no limit: {reached[-1]}")
    failed = sum(stage.failed for stage in best.stages)
    if failed:
        lines.append(
            f"{count_of(failed, 'attempt')} failed otherwise: see `observatory runs show {best.run_id}`"
        )
    if best.words and best.refused and ceiling.a_minute is None:
        lines.append(f"refused with: {best.words}")
    if answer.reason:
        lines.append(answer.reason)
    if answer.ended in ("up_to", "max_requests", "max_minutes", "max_usd"):
        lines.append(f"ended by {_ENDED[answer.ended]}; raise it to look further")
    return lines


def _refused(seen: LimitsSeen) -> str:
    if not seen.refused:
        return MISSING
    named = f", named {' and '.join(seen.named)}" if seen.named else ""
    return f"{seen.refused:,} of {seen.sent:,}, HTTP 429{named}"


def _number(value: float | None, form: str = ",.0f") -> str:
    return MISSING if value is None else format(value, form)
