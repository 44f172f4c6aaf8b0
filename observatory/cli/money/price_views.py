"""What `observatory prices` shows: rows of the ledger, of a target's price, and sums of runs priced again."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from observatory.cli.answers import plain, show_table
from observatory.cli.console import echo, echo_json
from observatory.cli.money.shown_prices import (
    CheckedTarget,
    ListedProvider,
    ModelPrices,
    PriceOfKind,
    PricesOfSpan,
)
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.money.agreed_prices import PRICES_FILE, AgreedPrices
from observatory.core.units import MOST_PERCENT, change_text
from observatory.core.workspace import Workspace
from observatory.economics import ledger_book as ledger
from observatory.economics.agreed_prices import book_of
from observatory.economics.price_book import KINDS, BookRow, priced, tier_of
from observatory.economics.price_details import NO_DETAILS
from observatory.economics.price_rows import AppliedPrices
from observatory.economics.prices import prices_of
from observatory.inputs.price_files import agreed_prices
from observatory.inputs.scenario_files import list_scenarios, resolve_scenario
from observatory.inputs.target_files import load_targets, targets_of_folders
from observatory.inputs.validation_errors import did_you_mean
from observatory.providers.catalogue import PROVIDERS
from observatory.store.queries.money_rows import RepricedRun
from observatory.store.schema.migrations import quote

if TYPE_CHECKING:
    from observatory.core.targets.catalogue import Target

STALE_DAYS = 60
"""A ledger without a dated price of the last two months: providers change prices more often."""
INPUT_PER_OUTPUT = 3
SHOWN = (
    "book", "tier", *KINDS, "prompts_above", "from", "until", "hours", "basis", "source",
)  # fmt: skip
CHECKED = ("target", "tier", *KINDS, "blended")
REPRICED = (
    "run_id", "target", "priced_provider", "priced_model", "priced_tier", "prompt_tokens",
    "cached_tokens", "output_tokens", "old_usd", "new_usd", "change_usd", "book", "reason",
)  # fmt: skip


def print_rows(
    rows: Sequence[Any],
    json_output: bool,
    *,
    columns: Sequence[str] | None = None,
    foot: Iterable[str] = (),
) -> None:
    """Print a table and the lines below it, or all of every row as JSON.

    rows: dataclasses. columns: those of the table; one that is empty in every row is left out of it.
    """
    shown = [
        {field.name.rstrip("_"): getattr(row, field.name) for field in fields(row)} for row in rows
    ]
    if json_output:
        echo_json(json.dumps([plain(row) for row in shown], indent=2))
        return
    if shown:
        named = columns or list(shown[0])
        names = [name for name in named if any(row[name] is not None for row in shown)]
        show_table(
            [name.replace("_", "\n") for name in names], [[r[n] for n in names] for r in shown]
        )
    for line in foot:
        echo(line)


def ledger_line(now: datetime) -> str:
    """Return the ledger's version and how old its data are, as far as it has dates."""
    newest = ledger.newest_date(now.date())
    dated = "it dates no price" if newest is None else f"its newest dated price is of {newest}"
    return f"US dollars. {ledger.LEDGER} {ledger.ledger_version()}; {dated}; nothing was fetched."


def stale_note(now: datetime) -> list[str]:
    """Return what to do where the ledger has no new price for long; nothing where it has."""
    newest = ledger.newest_date(now.date())
    if newest is None or (now.date() - newest).days <= STALE_DAYS:
        return []
    days = (now.date() - newest).days
    return [
        f"note: no price in it is newer than {count_of(days, 'day')}: update the package {ledger.LEDGER}"
    ]


def provider_rows() -> list[ListedProvider]:
    """Return the ledger's providers, each with the name that targets give it."""
    names = {known.prices_id: name for name, known in PROVIDERS.items()}
    return [
        ListedProvider(
            provider=provider.id,
            targets_name_it=names.get(provider.id),
            models=len(provider.models),
            with_a_date=sum(ledger.is_dated(model) for model in provider.models),
        )
        for provider in ledger.ledger_providers()
    ]


def model_rows_of(name: str, now: datetime) -> list[ModelPrices]:
    """Return the standard prices of a provider's models; BadInput for a provider that is not there."""
    known = PROVIDERS.get(name)
    wanted = known.prices_id if known else name
    providers = {provider.id: provider for provider in ledger.ledger_providers()}
    if wanted not in providers:
        raise BadInput(
            f"{ledger.LEDGER} has no provider {name!r}{did_you_mean(name, [*providers, *PROVIDERS])}",
            fix="observatory prices list names them all",
        )
    of_model: dict[str, list[BookRow]] = {model.id: [] for model in providers[wanted].models}
    for row in ledger.ledger_book().rows:
        if row.provider == wanted:
            of_model[row.model].append(row)
    return [_model_row(model, rows, now) for model, rows in of_model.items()]


def _model_row(model: str, rows: list[BookRow], now: datetime) -> ModelPrices:
    prices = priced(rows, None, now, NO_DETAILS)
    return ModelPrices(
        model=model,
        **_kinds(prices),
        blended=blended(prices),
        dearer_above=min(
            (r.above_prompt_tokens for r in rows if r.above_prompt_tokens), default=None
        ),
        tiers=", ".join(sorted({r.service_tier for r in rows if r.service_tier})) or None,
        holds_from=max((r.effective_from or "" for r in prices.rows), default="") or None,
    )


def _kinds(prices: AppliedPrices) -> dict[str, float]:
    return {row.kind: row.usd for row in prices.rows if row.kind in KINDS}


def blended(prices: AppliedPrices, input_per_output: float = INPUT_PER_OUTPUT) -> float | None:
    """Return US dollars per million tokens, input and output together; None without a price of both."""
    fresh, output = prices.row("input"), prices.row("output")
    if fresh is None or output is None:
        return None
    return (input_per_output * fresh.usd + output.usd) / (input_per_output + 1)


def rows_of_model(
    provider: str, model: str, agreed: AgreedPrices | None
) -> list[tuple[list[BookRow], list[PriceOfKind]]]:
    """Return the model's prices book by book, the workspace's own first; BadInput where no book has it."""
    own = (
        [r for r in book_of(agreed).rows if (r.provider, r.model) == (provider, model)]
        if agreed
        else []
    )
    listed = ledger.find_listed(provider, model)
    public = ledger.model_rows(listed.owner, listed.model) if listed else []
    if not own and not public:
        raise BadInput(
            f"no price of {model!r} of {provider!r} in {PRICES_FILE} or {ledger.LEDGER} {ledger.ledger_version()}",
            fix=f"observatory prices list {provider} names the models",
        )
    books = ((PRICES_FILE, own), (ledger.LEDGER, public))
    return [(rows, [_price_row(book, row) for row in rows]) for book, rows in books if rows]


def side_by_side(rows: Iterable[PriceOfKind]) -> list[PricesOfSpan]:
    """Return prices of one tier, span and size of prompt in one row, a column a kind."""
    same = [field.name for field in fields(PricesOfSpan) if field.name not in KINDS]
    kinds: dict[PricesOfSpan, dict[str, Any]] = {}
    for row in rows:
        span = PricesOfSpan(**{name: getattr(row, name) for name in same})
        kinds.setdefault(span, {})[row.kind] = row.usd_per_million
    return [replace(span, **usd) for span, usd in kinds.items()]


def _price_row(book: str, row: BookRow) -> PriceOfKind:
    hours = None
    if row.utc_from is not None:
        end = f"{row.utc_until:%H:%M}" if row.utc_until else "24:00"
        hours = f"{row.utc_from:%H:%M} to {end} UTC"
        if days := row.details.days:
            hours += f", {days}"
    return PriceOfKind(
        book=book,
        provider=row.provider,
        model=row.model,
        tier=row.service_tier or "standard",
        kind=row.kind,
        usd_per_million=row.usd_per_million,
        prompts_above=row.above_prompt_tokens or None,
        from_=row.effective_from,
        until=row.effective_until,
        hours=hours,
        basis=row.basis,
        source=row.source,
    )


def blended_lines(
    books: Sequence[tuple[list[BookRow], list[PriceOfKind]]], now: datetime
) -> list[str]:
    """Return the blended price of each tier now, and what the public ledger lacks."""
    lines = []
    for rows, shown in books:
        tiers = sorted({row.service_tier for row in rows}, key=lambda tier: tier or "")
        for tier in tiers:
            value = blended(priced(rows, tier, now, NO_DETAILS))
            if value is not None:
                lines.append(
                    f"{shown[0].book}, {tier or 'standard'}: {value:.6g} blended now, at "
                    f"{INPUT_PER_OUTPUT} input tokens for each output token (short prompts, no cache)"
                )
        if shown[0].book == ledger.LEDGER and not any(
            r.effective_from or r.effective_until for r in rows
        ):
            lines.append(
                "undated: the ledger gives these prices for any day, also before the model was"
            )
        names = sorted({name for row in rows for name in row.details.not_counted or ()})
        if names:
            lines.append(f"charged for in addition to these, and not counted: {', '.join(names)}")
    return lines


def checked_rows(workspace: Workspace, now: datetime) -> tuple[list[CheckedTarget], int]:
    """Return a row for every target billed by tokens, and how many are billed by hours."""
    agreed = agreed_prices(workspace)
    rows: list[CheckedTarget] = []
    by_hours: set[str] = set()
    for where, target in _targets(workspace):
        if target.billing == "hours":
            by_hours.add(target.name)
        else:
            rows.append(_checked(where, target, agreed, now))
    return rows, len(by_hours)


def checked_lines(rows: Sequence[CheckedTarget]) -> list[str]:
    """Return where prices come from, and what is to be known of them: each once, with its targets."""
    of_words: dict[str, list[str]] = {}
    for row in rows:
        if row.source is not None:
            of_words.setdefault(f"{row.basis}, {row.source}", []).append(row.target)
    for row in rows:
        if row.holds_from is not None:
            since = f"holds from {row.holds_from}, {count_of(row.days_old or 0, 'day')} ago"
            of_words.setdefault(since, []).append(row.target)
        if row.note is not None:
            of_words.setdefault(f"note: {row.note}", []).append(row.target)
    return [
        line
        for words, names in of_words.items()
        for line in textwrap.wrap(
            f"{words}: {', '.join(names)}", 79, subsequent_indent="  ", break_on_hyphens=False
        )
    ]


def _targets(workspace: Workspace) -> Iterable[tuple[str, "Target"]]:
    """Yield named targets, then those that scenarios hold themselves; what cannot be read is left out.

    `observatory scenario check` names what cannot be read.
    """
    known = load_targets(workspace)
    yield from (("targets.yaml", target) for target in known.values())
    of_folder = cache(lambda folder: targets_of_folders([folder, *workspace.scenarios]))
    for entry in list_scenarios(workspace):
        if entry.file is None:
            continue
        try:
            named = of_folder(entry.path.parent)
            own = resolve_scenario(entry.file, workspace, known=named).targets
        except BadInput:
            continue
        yield from ((entry.name, target) for target in own if known.get(target.name) != target)


def _checked(
    where: str, target: "Target", agreed: AgreedPrices | None, now: datetime
) -> CheckedTarget:
    prices, problem, tier = AppliedPrices(), None, None
    try:
        listed = target.listed_model
        tier = (tier_of(listed) or "standard") if listed is not None else None
        prices = prices_of(target, agreed=agreed, at=now)
    except BadInput as error:
        problem = str(error)
    first = prices.rows[0] if prices.rows else None
    details = first.details if first else NO_DETAILS
    start, days_old = first.effective_from if first else None, None
    if start is not None:
        days_old = (now.astimezone(UTC).date() - date.fromisoformat(start)).days
    note = details.note
    if first is None and problem is None:
        note = "no price: its costs are null"
    return CheckedTarget(
        target=target.name,
        in_=where,
        provider=getattr(target, "provider", None),
        model=getattr(target, "model", None),
        tier=tier,
        **_kinds(prices),
        blended=blended(prices),
        basis=prices.basis,
        source=f"{details.file}:{details.line}"
        if details.line is not None
        else (first.source if first else None),
        holds_from=start,
        days_old=days_old,
        note=problem or note,
        problem=problem,
    )


def repriced_sql(given: Mapping[str, str | float | bool | None]) -> str:
    """Return the query over macro reprice; asked: its parameters by name (None: the default)."""
    parameters = ", ".join(
        f"{name} := {quote(value) if isinstance(value, str) else str(value).lower()}"
        for name, value in given.items()
        if value is not None
    )
    return f"SELECT * FROM reprice({parameters}) ORDER BY created_at, run_id"


def total_lines(rows: Sequence[RepricedRun]) -> list[str]:
    """Return the sums over the runs that have both figures, and how many have not."""
    if not rows:
        return ["No run billed by tokens is in the database (with --at, none at all)."]
    both = [
        (row.old_usd, row.new_usd)
        for row in rows
        if row.old_usd is not None and row.new_usd is not None
    ]
    lines = []
    if both:
        old, new = (sum(figures) for figures in zip(*both, strict=True))
        change = ""
        if old:
            more = new / old - 1
            written = change_text(more) if new / old > MOST_PERCENT else f"{more:+.1%}"
            change = f", {written}"
        lines.append(
            f"{count_of(len(both), 'run')}: {old:.6f} US dollars then, {new:.6f} so{change}"
        )
    if len(both) < len(rows):
        lines.append(
            f"{count_of(len(rows) - len(both), 'run')} without one of the two: the table gives the reason"
        )
    missing = sum(row.answers_without_cost or 0 for row in rows)
    if missing:
        lines.append(
            f"{count_of(missing, 'answer has', 'answers have')} no token counts and {'is' if missing == 1 else 'are'} in neither sum"
        )
    if any(row.emulated for row in rows):
        lines.append("emulated targets are among them: nothing was paid")
    return lines
