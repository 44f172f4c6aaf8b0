"""A quote and a bill as people read them: low - expected - high, and the real cost."""

import textwrap
from collections.abc import Iterable, Iterator

import typer

from observatory.core.caps_spent import CapsSpent
from observatory.core.counted_nouns import count_of
from observatory.core.errors import Interrupted
from observatory.core.money.quotes import NOTHING, Quote, QuoteSpread, StageQuote
from observatory.core.run import Manifest
from observatory.core.stage_words import human_stage
from observatory.core.units import human_level, human_number
from observatory.presentation.dollars import write_usd, write_usd_range
from observatory.runner.finished_run import FinishedRun
from observatory.runner.quoting import CampaignQuote, check_agreed

_WIDTH = 79
"""Characters of a line; what is longer is folded between words."""
_LABEL = 38
"""Of them those before the three figures."""


def quote_lines(quotes: CampaignQuote) -> list[str]:
    """Return all of it: a table of each target by stage, what they rest on, and the campaign's sum."""
    lines: list[str] = []
    for place, one in quotes.quotes.items():
        lines += _of_target(one, quotes.runs[place])
    lines += _rests_on(list(quotes.quotes.values()))
    return lines + _of_all(quotes)


def short_lines(quotes: CampaignQuote) -> list[str]:
    """Return a line a target, for display before a run."""
    lines = []
    for place, one in quotes.quotes.items():
        runs = quotes.runs[place]
        each = "" if runs == 1 else f", for each of {count_of(runs, 'run')}"
        lines.append(
            f"quote for {_name(one)}: {_counts(one.requests)} requests, "
            f"{_counts(one.output_tokens)} output tokens, {_money(one)}{each}"
        )
        if (line := _held_back(one)) is not None:
            lines.append(f"warning: {line}")
    return lines + _of_all(quotes)


def _of_all(quotes: CampaignQuote) -> list[str]:
    """Return the line of all runs together, where there are several and something is paid for them."""
    usd, runs = quotes.usd, sum(quotes.runs.values())
    if usd is None or runs < 2:
        return []
    return [f"quote for all {count_of(runs, 'run')}: {usd_text(usd)}"]


def _of_target(one: Quote, runs: int) -> list[str]:
    title = f"quote for {_name(one)}"
    heads = ("low", "expected", "high")
    rows: list[tuple[str, Iterable[str]]] = (
        [(title, heads)] if len(title) <= _LABEL else [(title, ()), ("", heads)]
    )
    for stage in one.stages:
        level = human_level(stage.kind, stage.concurrency, stage.rate_per_s)
        rows.append((f"  {human_stage(stage.stage, level)}", ()))
        rows += _figures(stage)
    rows.append(("  in all" if runs == 1 else f"  in all, for each of {count_of(runs, 'run')}", ()))
    rows += _figures(one)
    return [*_aligned(rows), *(line for note in _notes(one) for line in _folded(note, "    "))]


def _notes(one: Quote) -> list[str]:
    notes = [] if one.usd is not None else ["no price known"]
    if one.emulated:
        notes.append("emulated, nothing is paid")
    if one.price_sources:
        dates = f", of {', '.join(one.price_dates)}" if one.price_dates else ""
        notes.append(f"prices: {one.price_basis}, {', '.join(one.price_sources)}{dates}")
    if one.capped:
        notes.append(
            f"high is cut by the budget: {', '.join(one.capped)}; what one stage takes the next "
            "lacks, so that the stages' least and most do not add up to those in all"
        )
    if (line := _held_back(one)) is not None:
        notes.append(line)
    if one.open_high is not None:
        notes.append(f"high is open, only a cap bounds it: {one.open_high}")
    return notes


def _figures(of: Quote | StageQuote) -> Iterator[tuple[str, Iterable[str]]]:
    for name in ("requests", "prompt_tokens", "output_tokens"):
        yield f"    {name.replace('_', ' ')}", map(_count, _ends(getattr(of, name)))
    if of.usd is not None:
        yield "    US dollars", map(write_usd, _ends(of.usd))


def _aligned(rows: list[tuple[str, Iterable[str]]]) -> list[str]:
    return [
        f"  {name:<{_LABEL}}{''.join(f'{figure:>13}' for figure in figures)}".rstrip()
        for name, figures in rows
    ]


def _folded(text: str, margin: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=margin, subsequent_indent=f"{margin}  ", break_on_hyphens=False
    )


def _rests_on(quotes: list[Quote]) -> list[str]:
    """Return each ground once; of which targets, where it is not that of all."""
    of_ground: dict[str, list[str]] = {}
    for one in quotes:
        for ground in one.assumptions:
            text = f"{ground.of} ({ground.basis}): {ground.text}"
            of_ground.setdefault(text, []).append(_name(one))
    lines = ["  what these rest on:"] if of_ground else []
    for text, names in of_ground.items():
        of = "" if len(names) == len(quotes) else f"{', '.join(names)}: "
        lines += _folded(f"{of}{text}", "    ")
    return lines


def _held_back(one: Quote) -> str | None:
    """Return where a small budget would hold the load itself back."""
    users = max((stage.concurrency or 0 for stage in one.stages), default=0)
    if one.most_open is None or one.most_open >= users:
        return None
    return (
        f"the budget lets {one.most_open} of these requests be open at once at their worst case: "
        f"{count_of(users, 'user')} would wait for each other"
    )


def _name(one: Quote) -> str:
    return f"{one.target} (emulated)" if one.emulated else one.target


def _money(one: Quote) -> str:
    if one.usd is None:
        return "no price known"
    basis = " (emulated, nothing is paid)" if one.emulated else ""
    more = ", or more" if one.open_high is not None and one.budget.usd is None else ""
    return f"{usd_text(one.usd)}{more}{basis}"


def _ends(spread: QuoteSpread) -> tuple[float, float, float]:
    return spread.low, spread.expected, spread.high


def _count(value: float) -> str:
    return human_number(round(value))


def _counts(spread: QuoteSpread) -> str:
    figures = [_count(value) for value in _ends(spread)]
    return figures[0] if len(set(figures)) == 1 else " - ".join(figures)


def usd_text(spread: QuoteSpread) -> str:
    """Return the least, the expected and the most dollars; one amount where they are written alike."""
    return write_usd_range(_ends(spread))


def agree(quotes: CampaignQuote, *, yes: bool, ask_above_usd: float, terminal: bool) -> None:
    """Get a consent on the terminal where the quote needs it.

    BadInput without a terminal, Interrupted where the answer is no.
    """
    why = None if yes else quotes.must_agree(ask_above_usd)
    if why is None:
        return
    if not terminal:
        check_agreed(quotes, ask_above_usd)
    if not typer.confirm(f"{why}. Go on?", default=False, err=True):
        raise Interrupted("you did not agree to the quote; nothing was sent")


def bill_line(run: FinishedRun) -> str | None:
    """Return what a run billed by tokens cost, with its quote and its cap; None for any other."""
    manifest = run.manifest
    if (quoted := manifest.quoted) is None:
        return None
    quote_text = f"quoted {usd_text(quoted.usd)}" if quoted.usd is not None else "no price known"
    cost = "cost not known" if run.cost_usd is None else f"cost {write_usd(run.cost_usd)}"
    if n := _without_cost([run]):
        cost += f" and {count_of(n, 'answer')} of unknown cost"
    emulated = quoted.emulated or manifest.target.emulated
    basis = " (emulated, nothing was paid)" if emulated else ""
    return f"{manifest.target.name}: {quote_text}, {cost}{basis}{_cap_words(manifest)}"


def sum_line(runs: list[FinishedRun]) -> str | None:
    """Return the bill of several runs together; None of one, and where nothing was really paid."""
    bought = [(run, run.manifest.quoted) for run in runs if not run.manifest.target.emulated]
    quotes = [quote.usd for _, quote in bought if quote is not None]
    paid = [run for run, quote in bought if quote is not None]
    if len(paid) < 2:
        return None
    quoted = NOTHING
    for one in quotes:
        quoted = quoted.plus(one or NOTHING)
    cost = sum(run.cost_usd or 0.0 for run in paid)
    text = f"all {len(paid)} bought runs: quoted {usd_text(quoted)}, cost {write_usd(cost)}"
    missing = (
        (sum(one is None for one in quotes), "run", "without a known price"),
        (sum(run.cost_usd is None for run in paid), "run", "of unknown cost"),
        (_without_cost(paid), "answer", "of unknown cost"),
    )
    words = [f"{count_of(n, what)} {how}" for n, what, how in missing if n]
    return f"{text}; not in it: {', '.join(words)}" if words else text


def _without_cost(runs: list[FinishedRun]) -> int:
    """Return the answers that are missing in the costs of runs that have one."""
    return sum(run.without_cost for run in runs if run.cost_usd is not None)


def _cap_words(manifest: Manifest) -> str:
    """Return how much of each cap was used, and what of it no response confirmed."""
    budget = manifest.stored.budget
    spent = manifest.spent or CapsSpent()
    words = []
    if budget.usd is not None and spent.usd is not None:
        assumed = spent.assumed_usd
        held = f", {write_usd(assumed)} of it at worst case for want of usage" if assumed else ""
        words.append(f"{write_usd(spent.usd)} of {write_usd(budget.usd)}{held}")
    for name, title in (("requests", "requests"), ("output_tokens", "output tokens")):
        cap, counted = getattr(budget, name), getattr(spent, name)
        if cap is not None and counted is not None:
            words.append(f"{counted:,} of {cap:,} {title}")
    return f"; counted against the caps: {'; '.join(words)}" if words else ""
