"""A quote: known answers by hand, and what holds for any plan, price and cap."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.money.quotes import Quote, QuoteSpread
from observatory.core.plan import Plan, PlanItem, StagePlan
from observatory.core.scenario import Budget, Scenario
from observatory.core.worst_case import prompt_tokens_at_most
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.economics.quote import quote
from observatory.economics.quote_figures import EarlierFigures, ObservedFigures, QuoteLimits, Speed
from observatory.workload.planning import make_plan

PRICES = AppliedPrices(
    [
        PriceRow("input", 2.0, "list_price", "ledger 1", "2026-01-01"),
        PriceRow("cached_input", 0.5, "list_price", "ledger 1", "2026-01-01"),
        PriceRow("cache_write", 3.0, "list_price", "ledger 1", "2026-02-01"),
        PriceRow("output", 10.0, "list_price", "ledger 1", "2026-01-01"),
    ],
    "list_price",
)
ITEM = PlanItem("a", "0", {"messages": [{"role": "user", "content": "x" * 90}]}, 100, 40)
MOST = prompt_tokens_at_most(ITEM)


def plan(*stages: StagePlan, items: list[PlanItem] | None = None, cache: Any = "cold") -> Plan:
    return Plan("s", 1, "chat", True, cache, items or [ITEM], list(stages), "0", "0")


def stage(index: int = 0, **fields: Any) -> StagePlan:
    given: dict[str, Any] = {
        "index": index, "kind": "closed", "concurrency": 4, "rate_per_s": None,
        "warmup_s": 2.0, "steady_s": 8.0, "drain_s": 5.0,
    }  # fmt: skip
    return StagePlan(**(given | fields))


def open_loop(index: int, requests: int) -> StagePlan:
    return stage(
        index, kind="constant", concurrency=None, rate_per_s=1.0, offsets_ns=list(range(requests))
    )


def test_an_open_loop_has_as_many_requests_as_instants() -> None:
    found = quote("t", plan(open_loop(0, 50)), PRICES, Budget())
    assert found.requests == QuoteSpread(50, 50, 50)
    # Without a run to go by: half the estimate, the estimate, a token a byte; a tenth, half, all of the limit.
    assert found.prompt_tokens == QuoteSpread(50 * 20, 50 * 40, 50 * MOST)
    assert found.output_tokens == QuoteSpread(50 * 10, 50 * 50, 50 * 100)
    assert found.usd is not None
    assert found.usd.low == pytest.approx(50 * (20 * 2 + 10 * 10) / 1e6)
    assert found.usd.expected == pytest.approx(50 * (40 * 2 + 50 * 10) / 1e6)
    assert found.usd.high == pytest.approx(50 * (MOST * 3 + 100 * 10) / 1e6)  # cache writes
    assert found.price_sources == ["ledger 1"]
    assert found.price_dates == ["2026-01-01", "2026-02-01"]
    assert [(one.of, one.basis) for one in found.assumptions] == [
        ("prompt tokens", "assumed"), ("output tokens", "assumed"), ("dollars", "assumed"),
    ]  # fmt: skip


def test_a_closed_loop_has_as_many_as_its_users_can_ask() -> None:
    speed = Speed(
        QuoteSpread(0.5, 1.0, 2.0), QuoteSpread(0.0, 0.02, 0.03), "assumed", "as a test says"
    )
    found = quote("t", plan(stage()), PRICES, Budget(), speed=speed)
    # 10 s and 4 users; a request takes 0.5 s, 1 + 50 x 0.02 = 2 s, 2 + 100 x 0.03 = 5 s.
    assert found.requests == QuoteSpread(4 * 2, 4 * 5, 4 * 20)
    thinking = quote("t", plan(stage(think_time_s=3.0)), PRICES, Budget(), speed=speed)
    assert thinking.requests == QuoteSpread(4 * 1, 4 * 2, 4 * 3)
    assert found.assumptions[0].text == "as a test says"


def test_what_an_earlier_run_measured_goes_before_what_is_assumed() -> None:
    seen = ObservedFigures(
        "run-7", 200, QuoteSpread(0.5, 1.0, 2.5), QuoteSpread(30, 35, 40), QuoteSpread(5, 20, 80)
    )
    fast = ObservedFigures(
        "run-7", 90, QuoteSpread(0.25, 0.5, 1.0), QuoteSpread(30, 35, 40), QuoteSpread(5, 20, 80)
    )
    earlier = EarlierFigures(seen, {("closed", 8, None): fast})
    found = quote("t", plan(stage(), stage(1, concurrency=8)), PRICES, Budget(), earlier=earlier)
    first, second = found.stages
    assert first.requests == QuoteSpread(4 * 4, 4 * 10, 4 * 20)
    assert second.requests == QuoteSpread(8 * 10, 8 * 20, 8 * 40)
    assert first.output_tokens == QuoteSpread(16 * 5, 40 * 20, 80 * 80)
    assert first.usd is not None
    assert first.usd.expected == pytest.approx(40 * (35 * 2 + 20 * 10) / 1e6)
    measured = [one for one in found.assumptions if one.basis == "measured"]
    assert [one.of for one in measured] == ["requests", "prompt tokens", "output tokens"]
    assert all("run run-7" in one.text and "200 requests" in one.text for one in measured)


def test_priming_asks_each_item_once_for_one_token_and_warm_prompts_may_be_cached() -> None:
    prime = stage(0, kind="prime", concurrency=1, warmup_s=0.0, steady_s=0.0)
    found = quote(
        "t", plan(prime, open_loop(1, 10), items=[ITEM] * 3, cache="warm"), PRICES, Budget()
    )
    assert found.stages[0].requests == QuoteSpread(3, 3, 3)
    assert found.stages[0].output_tokens == QuoteSpread(3, 3, 3)
    assert found.stages[0].usd is not None and found.stages[1].usd is not None
    assert found.stages[0].usd.low == pytest.approx(3 * (20 * 2 + 1 * 10) / 1e6)
    assert found.stages[1].usd.low == pytest.approx(10 * (20 * 0.5 + 10 * 10) / 1e6)
    assert found.stages[1].usd.expected == pytest.approx(10 * (40 * 2 + 50 * 10) / 1e6)


def test_a_full_length_answer_is_no_assumption() -> None:
    item = PlanItem("a", "0", {"prompt": "x", "ignore_eos": True}, 64, 10)
    found = quote("t", plan(open_loop(0, 2), items=[item]), PRICES, Budget())
    assert found.output_tokens == QuoteSpread(128, 128, 128)
    assert "output tokens" not in [one.of for one in found.assumptions]


@pytest.mark.parametrize(
    ("limits", "high"),
    [
        (QuoteLimits(rate_per_s=3.0), 31),  # ten seconds, and the one at their start
        (
            QuoteLimits(requests_per_minute=30),
            35,
        ),  # a minute's allowance at once, a sixth more comes
        (QuoteLimits(tokens_per_minute=12_000), 116),  # 14,000 tokens of 20 + 100 each
        (QuoteLimits(requests_per_minute=30, tokens_per_minute=12_000), 35),
    ],
)
def test_a_rate_bounds_the_high_figure(limits: QuoteLimits, high: int) -> None:
    found = quote("t", plan(stage(concurrency=100)), PRICES, Budget(), limits=limits)
    assert found.requests.high == high
    assert found.requests.low <= found.requests.expected <= high


def test_caps_are_used_up_stage_by_stage() -> None:
    both = plan(open_loop(0, 50), open_loop(1, 50))
    found = quote("t", both, PRICES, Budget(requests=70))
    assert [one.requests.high for one in found.stages] == [50, 20]
    assert (found.requests.high, found.capped) == (70, ["requests"])
    cap = 60 * (MOST * 3 + 100 * 10) / 1e6
    dear = quote("t", both, PRICES, Budget(usd=cap))
    assert dear.usd is not None and dear.usd.high == pytest.approx(cap)
    assert [one.usd.high for one in dear.stages if one.usd] == pytest.approx([cap * 5 / 6, cap / 6])
    assert dear.requests == QuoteSpread(60, 100, 100)  # cheap ones all fit, dear ones do not
    assert (dear.most_open, dear.capped) == (60, ["usd"])


def test_an_unknown_price_leaves_the_tokens_and_no_dollars() -> None:
    found = quote("t", plan(open_loop(0, 5)), AppliedPrices(), Budget(requests=3))
    assert (found.usd, found.price_basis, found.most_usd) == (None, None, None)
    assert found.requests.high == 3 and found.output_tokens.high == 300


def test_an_open_high_is_bounded_by_the_cap_alone() -> None:
    why = "hidden reasoning is not counted"
    bare = quote("t", plan(open_loop(0, 5)), PRICES, Budget(requests=9), open_high=why)
    assert bare.most_usd is None and bare.open_high == why
    capped = quote("t", plan(open_loop(0, 5)), PRICES, Budget(usd=7), open_high=why)
    assert capped.most_usd == 7


def test_an_emulated_quote_says_that_it_is_one() -> None:
    found = quote("t", plan(open_loop(0, 5)), PRICES, Budget(), emulated=True)
    assert found.emulated and found.price_basis == "emulated"
    assert msgspec.convert(found.to_dict(), Quote) == found


def test_a_whole_scenario_adds_up(tmp_path: Path) -> None:
    scenario = Scenario.model_validate(
        {
            "name": "s",
            "workload": {"kind": "tasks", "tasks": ["support-tickets"], "cache": "warm", "max_tokens": 8},
            "arrivals": {"kind": "poisson"},
            "stages": [{"rate": "5/s"}, {"rate": "10/s"}],
            "timing": {"warmup": "1s", "steady": "4s"},
        }
    )  # fmt: skip
    made = make_plan(scenario, tmp_path)
    found = quote("t", made, PRICES, Budget())
    offsets = sum(len(one.offsets_ns or ()) for one in made.stages)
    assert found.requests.high == len(made.items) + offsets
    assert found.output_tokens.high == len(made.items) + 8 * offsets
    assert found.usd is not None
    assert sum(one.usd.high for one in found.stages if one.usd) == pytest.approx(found.usd.high)


@settings(max_examples=60)
@given(
    kinds=st.lists(st.sampled_from(["closed", "open", "prime"]), min_size=1, max_size=4),
    users=st.integers(1, 200),
    requests=st.none() | st.integers(1, 500),
    tokens=st.none() | st.integers(100, 50_000),
    usd=st.none() | st.floats(0.001, 1.0),
    rate=st.none() | st.floats(0.1, 100),
    measured=st.booleans(),
)
def test_no_quote_is_above_a_cap_and_none_is_upside_down(
    kinds: list[str],
    users: int,
    requests: int | None,
    tokens: int | None,
    usd: float | None,
    rate: float | None,
    measured: bool,
) -> None:
    stages = [
        open_loop(place, users) if kind == "open" else stage(place, kind=kind, concurrency=users)
        for place, kind in enumerate(kinds)
    ]
    seen = ObservedFigures(
        "r", 20, QuoteSpread(0.1, 0.4, 2.0), QuoteSpread(10, 30, 60), QuoteSpread(2, 40, 90)
    )
    found = quote(
        "t",
        plan(*stages),
        PRICES,
        Budget(requests=requests, output_tokens=tokens, usd=usd),
        limits=QuoteLimits(rate_per_s=rate),
        earlier=EarlierFigures(seen) if measured else None,
    )
    assert found.usd is not None
    for whole, cap in (
        (found.requests, requests), (found.output_tokens, tokens), (found.usd, usd),
    ):  # fmt: skip
        assert cap is None or whole.high <= cap * (1 + 1e-9)
    for figures in (found, *found.stages):
        for one in (figures.requests, figures.prompt_tokens, figures.output_tokens, figures.usd):
            assert one is not None and 0 <= one.low <= one.high
            assert one.low - 1e-9 <= one.expected <= one.high + 1e-9
