"""What a run was charged, in rows: billed_tokens of each attempt, stage_costs of each steady window.

Every price is applied here, in Python; the database only adds the rows up.
"""

from collections.abc import Iterator
from dataclasses import astuple
from functools import lru_cache, partial

import polars as pl

from observatory.analysis.billing.money_metrics import cost_of, energy_in_window
from observatory.analysis.stage_data import StageData
from observatory.core.run import Manifest
from observatory.economics.cost import token_charges
from observatory.economics.counts import AnswerCounts, billable
from observatory.economics.machine_money import Component, machine_components
from observatory.economics.price_rows import MILLION, AppliedPrices, PriceKind
from observatory.store.frames import RunFrames, polars_schema
from observatory.store.schema.tables import BILLED_TOKENS

_KEY = ("stage", "request", "attempt")
_COUNTS = (
    pl.col("prompt_tokens"),
    pl.col("cached_tokens"),
    pl.col("cache_write_tokens"),
    pl.col("output_tokens"),
    pl.col("output_tokens_from"),
    pl.col("outcome"),
    pl.col("finish_reason"),
    pl.col("saw_done").fill_null(value=False),
    pl.col("event_gap_ns").list.len().fill_null(0),
    pl.col("answer_characters").fill_null(0) + pl.col("reasoning_characters").fill_null(0),
)
"""In the order of AnswerCounts."""
_MILLION_TOKENS = "million tokens"


def billed_tokens(manifest: Manifest, frames: RunFrames) -> pl.DataFrame:
    """Return one row an attempt and kind of token, of the attempts whose counts can be billed; columns of
    BILLED_TOKENS without run_id. usd_per_million is null where the target has no price by tokens.

    Rows are many: prices are applied once for equal counts, and columns are built, not rows.
    """
    prices = AppliedPrices.from_dict(manifest.target.price)
    charges_of = lru_cache(maxsize=65_536)(partial(token_charges, prices))
    columns = (frames.attempts.select(one.alias("of")).to_series().to_list() for one in _COUNTS)
    places, charges = [], []
    for place, counts in enumerate(map(AnswerCounts, *columns)):
        if billable(counts):
            found = charges_of(counts.prompt, counts.cached, counts.output, counts.cache_write)
            charges += found
            places += [place] * len(found)
    kinds, tokens, usd = zip(*charges, strict=True) if charges else ((), (), ())
    schema = polars_schema(BILLED_TOKENS)
    return frames.attempts.select(_KEY)[places].with_columns(
        pl.Series("kind", kinds, schema["kind"]),
        pl.Series("tokens", tokens, schema["tokens"]),
        pl.Series("usd_per_million", usd, schema["usd_per_million"]),
    )


def stage_costs(data: StageData, billed: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    """Yield the components of the window's cost by each accounting; rows of STAGE_COSTS without run_id.

    billed: billed_tokens of the run. A target billed by hours has the accountings reservation (all of the
    time) and usage (the busy share of it), a target billed by tokens has tokens.
    """
    if data.prices.usd_per_hour is not None:
        energy, no_energy = energy_in_window(data)
        for accounting, share in (("reservation", 1.0), ("usage", data.busy_fraction)):
            parts = machine_components(data.prices, data.window.seconds, energy, no_energy, share)
            yield from (_row(data, accounting, part) for part in parts)
    elif data.prices.basis is not None:
        yield from (_row(data, "tokens", part) for part in _token_components(data, billed))


def _token_components(data: StageData, billed: pl.DataFrame) -> Iterator[Component]:
    cost = cost_of(data)
    sums = _sums_by_kind(data, billed)
    for kind, tokens, usd, usd_per_million in sums.iter_rows():
        price = usd / tokens * MILLION if tokens else usd_per_million
        known = None if cost.usd is None else price
        yield _component(data, kind, tokens / MILLION, known, cost.reason)
    if sums.is_empty() and cost.usd is None:
        rows = (data.prices.row("input"), data.prices.row("output"))
        for row in filter(None, rows):
            yield _component(data, row.kind, None, row.usd, cost.reason)


def _sums_by_kind(data: StageData, billed: pl.DataFrame) -> pl.DataFrame:
    """Return kind, tokens, usd (at the prices of their prompts' sizes) and usd_per_million of the requests
    that ended in the window, with any outcome."""
    ended = data.requests.filter(data.window.holds("a_ended_ns")).get_column("request")
    in_window = pl.col("request").is_in(ended.implode())
    of_stage = billed.filter(in_window, stage=data.window.stage).drop_nulls("usd_per_million")
    usd = pl.col("tokens") * pl.col("usd_per_million") / MILLION
    return of_stage.group_by("kind", maintain_order=True).agg(
        pl.col("tokens").sum(), usd.sum().alias("usd"), pl.col("usd_per_million").first()
    )


def _component(
    data: StageData,
    kind: PriceKind,
    quantity: float | None,
    usd_per_unit: float | None,
    reason: str | None,
) -> Component:
    row = data.prices.row(kind) or data.prices.row("input")
    basis, source = (None, "") if row is None else (row.basis, row.source)
    return Component(kind, quantity, _MILLION_TOKENS, usd_per_unit, basis, source, reason)


def _row(data: StageData, accounting: str, part: Component) -> tuple[object, ...]:
    return data.window.stage, accounting, *astuple(part)
