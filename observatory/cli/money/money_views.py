"""Costs and break-evens as the terminal shows them: a finance person follows every figure to its source."""

from collections.abc import Mapping, Sequence
from typing import Any

from observatory.analysis.billing import serving
from observatory.cli.answers import show_table
from observatory.cli.console import echo
from observatory.core.counted_nouns import count_of
from observatory.core.floors import needs_text
from observatory.core.money.demand import Demand
from observatory.core.reasons import reason_words
from observatory.core.stage_words import human_stage
from observatory.core.units import human_level, human_number
from observatory.presentation import break_even_text
from observatory.presentation.dollars import write_unit_price, write_usd
from observatory.presentation.figures import DASH, write_interval
from observatory.store.queries.money_rows import ComponentRow, MoneyFigureRow, MoneyRow

Changes = Mapping[str, str]
"""run_id -> what of its folder is not as it was sealed (cli.change_notes)."""
ACCOUNTINGS = {
    "reservation": "kept (reservation-based)",
    "usage": "in use (usage-based)",
    "tokens": "bought by tokens",
}


def print_cost(
    row: MoneyRow,
    components: Sequence[ComponentRow],
    figures: Sequence[MoneyFigureRow],
    demand: Demand,
    volume: float | None,
    changed: Changes,
) -> None:
    """Print one run: components, the figures side by side, the cache, a month."""
    note = break_even_text.mark(row)
    echo(
        f"{row.target}{note}: billed by {row.billing}, run {row.run_id}, {row.verdict or 'not judged'}"
    )
    if row.run_id in changed:
        echo(f"  {changed[row.run_id]}")
    if serving.is_invalid(row):
        echo(
            f"  {serving.INVALID}{note}: what it cost and a month are left out; see observatory runs show {row.run_id}\n"
        )
        return
    if not components:
        why = f"nothing was measured that has a cost{note}: no stage reached its steady window"
        if row.price_basis is None:
            why = f"no price is known{note}: state rate or price in targets.yaml"
        echo(f"  {why}\n")
        return
    show_table(
        ["load", "accounting", "component", "quantity", "a unit", "cost", "basis"],
        [_component_line(one, note) for one in components],
    )
    for line in _source_lines(components):
        echo(line)
    show_table(
        [
            "load",
            "figure",
            "per 1,000 requests",
            "per million output",
            "per million tokens",
        ],
        _figure_lines(row, figures, note),
    )
    if row.billing == "hours":
        echo(
            "  Hold an API's price against the first figure: it contains the provider's idle hardware too."
        )
    if cached := break_even_text.cache_sentence(row):
        echo(f"  {cached}{note}")
    if volume is not None:
        print_month(row, demand, volume)
    echo("")


def _component_line(one: ComponentRow, note: str) -> list[Any]:
    basis = "; ".join(filter(None, (one.basis, reason_words(one.reason or ""))))
    return [
        human_level(one.stage_kind, one.concurrency, one.rate_per_s),
        ACCOUNTINGS[one.accounting].partition(" (")[0],
        one.component.replace("_", " "),
        f"{human_number(one.quantity, 4)} {one.unit}",
        DASH if one.usd_per_unit is None else write_unit_price(one.usd_per_unit),
        DASH if one.usd is None else write_usd(one.usd),
        basis if note.startswith(f" ({basis}") else f"{basis}{note}",
    ]


def _source_lines(components: Sequence[ComponentRow]) -> list[str]:
    """Return where each unit price comes from, once for all components that have it from there."""
    of_source: dict[str, list[str]] = {}
    for one in components:
        names = of_source.setdefault(one.source or "nowhere", [])
        if (name := one.component.replace("_", " ")) not in names:
            names.append(name)
    return [f"  {', '.join(names)}: priced by {source}" for source, names in of_source.items()]


def _figure_lines(row: MoneyRow, figures: Sequence[MoneyFigureRow], note: str) -> list[list[Any]]:
    lines = []
    for stage in sorted({one.stage for one in figures}):
        own = {one.metric: one for one in figures if one.stage == stage}
        any_one = next(iter(own.values()))
        level = human_level(any_one.kind, any_one.concurrency, any_one.rate_per_s)
        names = ("usd_per_1k_requests", "usd_per_million_output", "usd_per_million_tokens")
        if row.billing == "tokens":
            lines.append(
                [level, f"bought by tokens{note}", *(_with_interval(own, n) for n in names)]
            )
            continue
        busy = own["busy_fraction"].value if "busy_fraction" in own else None
        share = "" if busy is None else f", busy {busy:.0%} of the time"
        lines.append(
            [level, f"kept (reservation-based){note}", *(_with_interval(own, n) for n in names)]
        )
        used = [_with_interval(own, f"usage_{name}") for name in names]
        lines.append([level, f"in use (usage-based{share}){note}", *used])
        more = _with_interval(own, "marginal_usd_per_1k_requests")
        lines.append([level, f"one more request (marginal){note}", more, "–", "–"])
    return lines


def _with_interval(own: Mapping[str, MoneyFigureRow], metric: str) -> str:
    one = own.get(metric)
    if one is None:
        return "–"
    if one.value is None:
        if one.reason == "sample_floor" and one.needs_n is not None:
            return f"– ({needs_text(one.needs_n, one.n or 0, one.effective_n, one.needs_s)})"
        return f"– ({reason_words(one.reason or '')})"
    if one.low is None or one.high is None:
        why = reason_words(one.reason or "")
        return f"{write_usd(one.value)} (no interval: {why or 'not known'})"
    return f"{write_usd(one.value)} ({write_interval(one.low, one.high, 'USD')})"


def print_month(row: MoneyRow, demand: Demand, volume: float) -> None:
    """Print a mean month at a volume, or why there is none."""
    note, month = break_even_text.mark(row), serving.month_of(row, demand, volume)
    if month is None:
        why = serving.no_month(row)
        echo(f"  a month at {volume:,.0f} requests a day: not known, {why}{note}")
        return
    total = "not known" if month.usd is None else write_usd(month.usd)
    each = (
        ""
        if month.usd_per_request is None
        else f", {write_unit_price(month.usd_per_request)} a request"
    )
    kept = ""
    if month.replicas is not None:
        kept = (
            f", {count_of(month.replicas, 'replica')} busy {month.utilisation:.0%} of the paid time"
        )
    elif month.replica_hours_a_day:
        kept = f", {month.replica_hours_a_day:,.0f} replica-hours a day"
    ends = "" if month.usd is None else f" ({_month_interval(row, demand, volume)})"
    echo(f"  a month at {volume:,.0f} requests a day: {total}{ends}{each}{kept}{note}")
    for part in month.components:
        dollars = "not known" if part.usd is None else write_usd(part.usd)
        echo(
            f"    {part.name}: {human_number(part.quantity, 4)} {part.unit}s x "
            f"{DASH if part.usd_per_unit is None else write_unit_price(part.usd_per_unit)} = {dollars} ({part.basis or reason_words(part.reason or '')}; "
            f"{part.source}){note}"
        )


def _month_interval(row: MoneyRow, demand: Demand, volume: float) -> str:
    ends = serving.month_ends(row, demand, volume)
    if ends.low_usd is None or ends.high_usd is None:
        return f"no interval: {ends.reason}"
    between = f"95 % interval {write_usd(ends.low_usd)} to {write_usd(ends.high_usd)}"
    return between if ends.reason is None else f"{between}, {ends.reason}"


def print_answer(one: serving.BreakEvenReport, changed: Changes) -> None:
    """Print what went in, the answer, its interval, the steps."""
    for line in input_lines(one, changed):
        echo(line)
    echo("")
    echo(break_even_text.sentence(one))
    if one.found is None:
        return
    note = break_even_text.mark(one.self_row, one.api_row)
    echo(f"Interval: {break_even_text.interval(one)}{note}.")
    if one.volume is not None:
        _print_volume(one, note)
    show_table(
        [
            f"{one.found.at.line.unit}s",
            "spare",
            "up to requests a day",
            "serving, a day",
            "buying, a day",
            "cheaper",
        ],
        [
            [
                step.steps,
                step.spare,
                f"{step.requests_a_day:,.0f}",
                write_usd(step.self_usd_a_day),
                write_usd(step.api_usd_a_day),
                ("serving" if step.self_usd_a_day <= step.api_usd_a_day else "buying") + note,
            ]
            for step in serving.steps_of(one)
        ],
    )


def _print_volume(one: serving.BreakEvenReport, note: str) -> None:
    assert one.volume is not None and one.self_month is not None
    usd = one.self_month.usd
    price_text = "not known"
    if usd is not None:
        price_text = (
            f"{write_usd(usd)} a month ({_month_interval(one.self_row, one.demand, one.volume)})"
        )
    bought = _month_interval(one.api_row, one.demand, one.volume)
    echo(
        f"At {one.volume:,.0f} requests a day: serving {price_text}, buying "
        f"{write_usd(one.api_usd_a_month or 0)} ({bought}){note}."
    )


def input_lines(one: serving.BreakEvenReport, changed: Changes) -> list[str]:
    """Return every figure that went in, with its source."""
    own, bought, demand = one.self_row, one.api_row, one.demand
    mine, theirs = break_even_text.mark(own), break_even_text.mark(bought)
    lines = [f"Workload: {own.scenario}, comparison key {own.comparison_key}"]
    lines += [
        f"{row.target}'s run {row.run_id}: {changed[row.run_id]}"
        for row in (own, bought)
        if row.run_id in changed
    ]
    if own.usd_per_hour is not None:
        lines.append(
            f"{own.target}{mine}: {write_unit_price(own.usd_per_hour)} an hour for "
            f"{count_of(own.accelerators or 1, 'accelerator')}, {(own.commitment or '').replace('_', ' ')}; "
            f"{own.price_source}"
        )
        if own.usd_per_kwh is not None:
            lines.append(
                f"  electricity{mine}: {write_unit_price(own.usd_per_kwh)} a kWh x PUE {own.pue:g}; "
                f"{own.tariff_source}"
            )
        if own.operations_usd_per_hour:
            lines.append(
                f"  operations{mine}: {write_unit_price(own.operations_usd_per_hour)} an hour, once; "
                f"{own.operations_source}"
            )
    if own.goodput_rps:
        low, high = own.goodput_rps_low, own.goodput_rps_high
        between = "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"
        doubt = "" if own.surely else "; the lower end of that share's interval does not reach it"
        lines.append(
            f"  served within the SLO{mine}: {own.goodput_rps:.3g} requests/s{between} at "
            f"{human_stage(own.best_stage or 0)}, where at least {own.attainment:.1%} of requests met it{doubt}"
        )
    if bought.usd_per_request is not None:
        lines.append(
            f"{bought.target}{theirs}: {write_unit_price(bought.usd_per_request)} a request "
            f"({break_even_text.price_interval(bought)}), measured over {bought.requests or 0:,.0f}; "
            f"{bought.price_source}"
        )
    if bought.best_fraction is not None:
        lines.append(f"  at best {bought.best_fraction:.1%} of its requests met the SLO{theirs}")
    lines.append(
        f"Demand: peak hour {demand.peak:.3g} x the mean ({demand.peak_source}); "
        f"{demand.spare_replicas} spare; {demand.assumption.replace('_', ' ')}"
        + (f", {demand.active_hours:g} hours a day" if demand.active_hours else "")
    )
    if demand.assumption == "scale_to_zero":
        start = f" of {demand.cold_start:g} s" if demand.cold_start else ""
        lines.append(
            f"  No request is served during a cold start{start}, and no scaling reaches this: a lower bound."
        )
    return lines
