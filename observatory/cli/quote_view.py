"""A quote and a bill as people read them: low - expected - high, and what it really cost beside it."""

from typing import Any

import msgspec
import typer

from observatory.core.errors import Interrupted
from observatory.core.run import Manifest
from observatory.core.units import human_level, human_number
from observatory.economics.quote_figures import NOTHING, Quote, Spread
from observatory.runner.finish import FinishedRun
from observatory.runner.quoting import CampaignQuote, check_agreed


def quote_lines(quotes: CampaignQuote) -> list[str]:
    """All of it: a line a stage of each target, its sum, what it rests on, and the campaign's sum."""
    lines: list[str] = []
    for place, one in quotes.quotes.items():
        lines += _of_target(one, quotes.runs[place])
    whole = quotes.usd
    if whole is not None and sum(quotes.runs.values()) > 1:
        lines.append(f"quote for all {sum(quotes.runs.values())} runs: {usd_text(whole)}")
    return lines


def short_lines(quotes: CampaignQuote) -> list[str]:
    """A line a target, as it stands before a run."""
    lines = []
    for place, one in quotes.quotes.items():
        runs = quotes.runs[place]
        each = "" if runs == 1 else f", for each of {runs} runs"
        lines.append(
            f"quote for {_name(one)}: {_counts(one.requests)} requests, "
            f"{_counts(one.output_tokens)} output tokens, {_money(one)}{each}"
        )
        if (line := _held_back(one)) is not None:
            lines.append(f"warning: {line}")
    whole = quotes.usd
    if whole is not None and sum(quotes.runs.values()) > 1:
        lines.append(f"quote for all {sum(quotes.runs.values())} runs: {usd_text(whole)}")
    return lines


def _of_target(one: Quote, runs: int) -> list[str]:
    lines = [f"  quote for {_name(one)}, low - expected - high:"]
    for stage in one.stages:
        level = human_level(stage.kind, stage.concurrency, stage.rate_per_s)
        money = f", {usd_text(stage.usd)}" if stage.usd is not None else ""
        lines.append(
            f"    stage {stage.stage}, {level}: {_counts(stage.requests)} requests, "
            f"{_counts(stage.prompt_tokens)} prompt tokens, "
            f"{_counts(stage.output_tokens)} output tokens{money}"
        )
    each = "in all" if runs == 1 else f"in all, for each of {runs} runs"
    lines.append(f"    {each}: {_counts(one.requests)} requests, {_money(one)}")
    if one.price_sources:
        dates = f", of {', '.join(one.price_dates)}" if one.price_dates else ""
        lines.append(f"    prices: {one.price_basis}, {', '.join(one.price_sources)}{dates}")
    lines += [f"    {a.of} ({a.basis}): {a.text}" for a in one.assumptions]
    if one.capped:
        lines.append(f"    high is cut by the budget: {', '.join(one.capped)}")
    if (line := _held_back(one)) is not None:
        lines.append(f"    {line}")
    if one.open_high is not None:
        lines.append(f"    high is open, only a cap bounds it: {one.open_high}")
    return lines


def _held_back(one: Quote) -> str | None:
    """Where a small budget would hold the load itself back."""
    users = max((stage.concurrency or 0 for stage in one.stages), default=0)
    if one.most_open is None or one.most_open >= users:
        return None
    return (
        f"the budget lets {one.most_open} of these requests be open at once at their worst case: "
        f"{users} users would wait for each other"
    )


def _name(one: Quote) -> str:
    return f"{one.target} (emulated)" if one.emulated else one.target


def _money(one: Quote) -> str:
    if one.usd is None:
        return "no price known"
    basis = " (emulated, nothing is paid)" if one.emulated else ""
    more = ", or more" if one.open_high is not None and "usd" not in one.budget else ""
    return f"{usd_text(one.usd)}{more}{basis}"


def _counts(spread: Spread) -> str:
    figures = [human_number(round(value)) for value in (spread.low, spread.expected, spread.high)]
    return figures[0] if len(set(figures)) == 1 else " - ".join(figures)


def usd_text(spread: Spread) -> str:
    """Dollars, to three digits, or to the cent where there are many of them."""
    figures = [usd_figure(value) for value in (spread.low, spread.expected, spread.high)]
    return f"{figures[0] if len(set(figures)) == 1 else ' - '.join(figures)} USD"


def usd_figure(value: float) -> str:
    """A number of dollars: never a rounded cent where there are fewer than ten dollars."""
    if value >= 10:
        return f"{value:,.2f}"
    return f"{value:.4f}" if value >= 0.01 else f"{value:.2g}"


def agree(quotes: CampaignQuote, *, yes: bool, ask_above_usd: float, terminal: bool) -> None:
    """Ask whether to go on where the quote wants it.

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
    """What a run billed by tokens cost beside its quote and its cap; None of any other."""
    manifest = run.manifest
    if manifest.quote is None:
        return None
    quoted = msgspec.convert(manifest.quote, Quote)
    said = f"quoted {usd_text(quoted.usd)}" if quoted.usd is not None else "no price known"
    cost = "cost not known" if run.cost_usd is None else f"cost {usd_figure(run.cost_usd)}"
    basis = " (emulated, nothing was paid)" if quoted.emulated else ""
    return f"{manifest.target.name}: {said}, {cost}{basis}{_cap_words(manifest)}"


def sum_line(runs: list[FinishedRun]) -> str | None:
    """The bill of several runs together; None of one, and where nothing was really paid."""
    paid = [
        (msgspec.convert(run.manifest.quote, Quote), run.cost_usd)
        for run in runs
        if run.manifest.quote is not None and not run.manifest.target.emulated
    ]
    if len(paid) < 2:
        return None
    quoted = NOTHING
    for one, _ in paid:
        quoted = quoted.plus(one.usd or NOTHING)
    cost = sum(usd or 0.0 for _, usd in paid)
    return f"all {len(paid)} bought runs: quoted {usd_text(quoted)}, cost {usd_figure(cost)}"


def _cap_words(manifest: Manifest) -> str:
    """How much of each cap was used, and what of it nobody confirmed."""
    budget: dict[str, Any] = manifest.scenario.get("budget") or {}
    spent = manifest.spent or {}
    words = []
    if budget.get("usd") is not None and "usd" in spent:
        assumed = spent.get("assumed_usd", 0.0)
        held = f", {usd_figure(assumed)} of it at worst case for want of usage" if assumed else ""
        words.append(f"{usd_figure(spent['usd'])} of {usd_figure(budget['usd'])} USD{held}")
    for name, title in (("requests", "requests"), ("output_tokens", "output tokens")):
        if budget.get(name) is not None and name in spent:
            words.append(f"{spent[name]:,} of {budget[name]:,} {title}")
    return f"; counted against the caps: {'; '.join(words)}" if words else ""
