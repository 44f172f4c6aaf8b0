"""A service's own fields, its prices with their sources, and the quote next to the bill."""

from collections.abc import Callable
from typing import Any

import polars as pl

from observatory.core.workspace import Workspace
from observatory.site.build import build_site
from observatory.site.queries.reader import open_reader, shown_runs
from observatory.site.queries.rows import PriceOfRun
from observatory.site.sections.run_tables import price_table
from observatory.site.sections.service_terms import limit_words, quote_table, service_terms
from observatory.wires.failures.rate_limit_headers import RateLimitHeaders
from tests.site.reading import words

Planter = Callable[..., Workspace]


def test_a_run_tells_what_its_service_said(planter: Planter, seeds: dict[str, Any]) -> None:
    workspace = planter(seeds["closed-limited"])
    with open_reader(workspace) as reader:
        assert reader is not None
        [run] = shown_runs(reader)
        reported = dict(service_terms(reader, run))
        [answers] = reader.values("SELECT count(*) FROM attempts WHERE outcome = 'ok'")
        [refused] = reader.values("SELECT count(*) FROM attempts WHERE outcome = 'throttled'")
    named = f"(in all {answers:,} answers that name one)"
    assert reported["Provider"] == "example"
    assert reported["API"] == "OpenAI's Chat Completions or Completions"
    assert reported["Sent"] == "over our own sockets"
    assert (reported["Requested service tier"], reported["Service tier reported"]) == (
        "auto",
        f"default {named}",
    )
    assert reported["Model reported"] == f"limited-large-2026-10-01 {named}"
    assert reported["System fingerprint"] == f"fp_4f1c {named}"
    assert reported["Limits in its headers"] == "60 requests a minute, 90,000 tokens a minute"
    assert reported["Waits stated by refusals"].startswith(f"{refused} of {refused} stated one")
    assert reported["Its own processing time"] == f"median 212 ms, stated by {answers} answers"
    page = words(next((build_site(workspace) / "runs").iterdir()))
    assert "What the service reported" in page


def test_a_target_that_said_nothing_has_no_such_chapter(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    built = build_site(planter(seeds["smollm2-llamacpp"]))
    page = words(next((built / "runs").iterdir()))
    assert "What the service reported" not in page
    assert "Quote and bill" not in page


def test_a_quote_stands_beside_what_all_requests_came_to(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    with open_reader(planter(seeds["closed-limited"])) as reader:
        assert reader is not None
        [run] = shown_runs(reader)
        requests, _, output, usd = quote_table(reader, run).rows
        [came] = reader.values("SELECT sum(cost_usd) FROM requests")
    assert [cell.text for cell in requests] == ["Requests", "700", "720", "760", "720", "100 %"]
    assert output[0].text == "Output tokens"
    assert [cell.text for cell in usd[1:4]] == ["$0.310", "$0.520", "$0.910"]
    assert usd[4].text == f"${came:.3f}" if came < 0.9995 else f"${came:.2f}"
    assert {cell.basis for cell in usd[1:5]} == {"list_price"}


def test_prices_name_their_book_its_version_and_the_dearer_steps() -> None:
    tiers = '"tiers": [{"above_prompt_tokens": 200000, "usd": 5.0}]'
    book = '"package": "genai-prices", "version": "0.0.71", "model": "m", "service_tier": "flex"'
    row: dict[str, Any] = {"kind": "input", "usd": 2.5, "basis": "list_price", "source": "a page"}
    row |= {"effective_from": "2026-09-01"}
    dated = '"applied_at": "2026-11-19T12:00:00+00:00"'
    [[kind, usd, basis, source, since]] = price_table(
        [PriceOfRun(**row, details=f"{{{book}, {tiers}, {dated}}}")]
    ).rows
    assert (kind.text, kind.under) == ("input", "per million tokens")
    assert (usd.text, usd.under) == ("$2.50", "$5.00 above 200,000 prompt tokens")
    assert basis.text == "list price"
    assert (source.text, source.under) == ("a page", "genai-prices 0.0.71; m; tier flex")
    assert (since.text, since.under) == ("2026-09-01", "looked up 2026-11-19")


def test_a_price_files_hash_is_shortened_and_its_discount_told() -> None:
    details = (
        f'{{"book": "prices.yaml", "version": "{"ab" * 32} on genai-prices 0.0.71", '
        '"discount": 0.2, "list_usd": 2.5, "effective_until": "2027-01-01"}'
    )
    row: dict[str, Any] = {
        "kind": "output",
        "usd": 2.0,
        "basis": "stated",
        "source": "our contract",
    }
    [[_, usd, _, source, since]] = price_table(
        [PriceOfRun(**row, effective_from=None, details=details)]
    ).rows
    assert usd.under == "20 % off $2.50"
    assert source.under == "prices.yaml abababababab on genai-prices 0.0.71"
    assert (since.text, since.under) == ("–", "until 2027-01-01")


def test_a_machines_hour_says_what_it_contains() -> None:
    details = (
        '{"owned": false, "commitment": "on_demand", "accelerators": 2, '
        '"rate_includes": ["electricity", "cooling"]}'
    )
    row: dict[str, Any] = {
        "kind": "machine_hour",
        "usd": 4.0,
        "basis": "stated",
        "source": "a bill",
    }
    [[kind, usd, _, source, _]] = price_table(
        [PriceOfRun(**row, effective_from=None, details=details)]
    ).rows
    assert (kind.under, usd.under) == ("an hour", None)
    assert source.under == "2 accelerators; on demand; includes electricity, cooling"


def test_limits_in_words() -> None:
    assert limit_words(RateLimitHeaders()) == ""
    limits = RateLimitHeaders(requests_per_day=14_400, input_tokens_per_minute=30_000)
    assert limit_words(limits) == "14,400 requests a day, 30,000 input tokens a minute"


def test_rows_of_money_are_downloads_without_a_hosts_name(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    built = build_site(planter(seeds["closed-limited"], seeds["closed-frontier"]))
    costs = pl.read_parquet(built / "data" / "request_costs.parquet")
    whole = pl.read_parquet(built / "data" / "request_metrics.parquet")
    assert costs["usd"].sum() > 0
    assert abs(costs["usd"].sum() - whole["cost_usd"].sum()) < 1e-9
    for name in ("request_costs", "cost_components", "money_per_run", "throttling"):
        text = (built / "data" / f"{name}.csv").read_text()
        assert "secret-host-17" not in text and "gpu-07.corp.example" not in text
        assert len(text.splitlines()) > 1
