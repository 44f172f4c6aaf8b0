"""What a run may still spend, who carries it, and what a dead worker counts as."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import BadInput
from observatory.core.plan import PlanItem
from observatory.core.record import WorkerEnd, WorkerTick
from observatory.core.scenario import Budget
from observatory.core.targets.catalogue import Target
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.url import UrlTarget
from observatory.core.worst_case import (
    MEDIA_TOKENS,
    TEMPLATE_TOKENS,
    TOOL_TOKENS,
    prompt_tokens_at_most,
    unseen_tokens,
)
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.load.handoff import Caps
from observatory.runner.spending import (
    Spent,
    caps_left,
    carriers,
    check_may_spend,
    spent_by,
    usd_at_most,
)

PRICED = AppliedPrices(
    [PriceRow("input", 1.0, "stated", "a test"), PriceRow("output", 4.0, "stated", "a test")],
    "stated",
)


def end(requests: int = 0, tokens: int = 0, usd: float = 0.0, overrun: float = 1.0) -> WorkerEnd:
    return WorkerEnd(
        0, 9, 9, 0, 0, "complete", None, usd, tokens, requests, usd / 4, overrun=overrun
    )


def tick(issued: int, tokens: int, usd: float) -> WorkerTick:
    return WorkerTick(
        0, issued, 0, issued, 0, 0, 0, 0, False, spent_usd=usd, spent_output_tokens=tokens
    )


def item(text: str, max_tokens: int = 100, **body: Any) -> PlanItem:
    requested = {"messages": [{"role": "user", "content": text}], **body}
    return PlanItem("id", "0", requested, max_tokens, 10)


def test_what_is_left_of_a_budget_is_never_below_zero() -> None:
    spent = spent_by(Caps(), [end(3, 30, 0.4), end(4, 10, 0.7, overrun=2.0)])
    assert spent == Spent(7, 40, pytest.approx(1.1), pytest.approx(0.275), 2.0)
    caps = caps_left(Budget(usd=1, requests=10, output_tokens=100), PRICED, spent)
    assert (caps.requests, caps.output_tokens, caps.usd, caps.overrun) == (3, 60, 0.0, 2.0)
    assert caps.input_usd_per_token == pytest.approx(1e-6)
    assert caps.output_usd_per_token == pytest.approx(4e-6)
    assert AppliedPrices.from_dict(caps.prices) == PRICED
    assert caps_left(Budget(), PRICED, spent).requests is None
    assert caps_left(Budget(), AppliedPrices(), spent).prices is None


def test_a_dead_worker_has_spent_its_whole_share() -> None:
    caps = Caps(requests=7, output_tokens=101, usd=1.0)
    spent = spent_by(caps, [end(1, 5, 0.01), tick(2, 9, 0.02), None])
    assert spent.requests == 1 + 2 + 2
    assert spent.output_tokens == 5 + 34 + 33
    assert spent.usd == pytest.approx(0.01 + 2 / 3)
    left = caps_left(Budget(requests=7, output_tokens=101, usd=1.0), PRICED, spent)
    assert (left.requests, left.output_tokens) == (2, 29)
    assert spent_by(Caps(), [tick(2, 9, 0.02), None]) == Spent(2, 9, 0.02, 0.02)


@given(
    cap=st.integers(1, 1000),
    workers=st.integers(1, 8),
    dead=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_stages_together_never_pass_the_cap(cap: int, workers: int, dead: list[bool]) -> None:
    """With any dead workers, shares that are all spent leave the next stage nothing, and never less."""
    budget = Budget(output_tokens=cap, requests=cap)
    caps = caps_left(budget, PRICED, Spent())
    words = [
        None if dead[number] else end(0, cap // workers // 2, 0.0) for number in range(workers)
    ]
    left = caps_left(budget, PRICED, spent_by(caps, words))
    alive = sum(not gone for gone in dead[:workers])
    assert left.output_tokens is not None
    assert left.output_tokens <= alive * (cap // workers + 1) - alive * (cap // workers // 2)


def test_a_small_budget_is_carried_by_as_many_as_can_send_the_dearest() -> None:
    items = [item("short", 8), item("x" * 1000, 64)]
    assert carriers(Caps(), items, 4) == 4
    assert carriers(Caps(output_tokens=64 * 3 + 5), items, 4) == 3
    assert carriers(Caps(output_tokens=63), items, 4) == 1
    assert carriers(Caps(requests=2), items, 4) == 2
    dearest = usd_at_most(items[1], PRICED)
    priced = caps_left(Budget(usd=dearest * 2.5), PRICED, Spent())
    assert carriers(priced, items, 4) == 2
    beyond = caps_left(Budget(usd=dearest * 2.5), PRICED, Spent(overrun=2.0))
    assert carriers(beyond, items, 4) == 1


def test_a_cap_that_no_request_fits_is_refused_before_anything_is_sent() -> None:
    target: Target = UrlTarget.model_validate(
        {"kind": "url", "name": "u", "url": "http://h:1/v1", "billing": "tokens",
         "price": {"input_per_million_usd": 1, "output_per_million_usd": 4, "source": "t"}}
    )  # fmt: skip
    items = [item("a question", 100), item("another", 200)]
    least = usd_at_most(items[0], PRICED)
    check_may_spend(target, Budget(usd=least * 1.01), PRICED, items)
    with pytest.raises(BadInput, match="less than one request to u may cost"):
        check_may_spend(target, Budget(usd=least * 0.99), PRICED, items)
    with pytest.raises(BadInput, match="less than the output limit of any request: 100"):
        check_may_spend(target, Budget(usd=1, output_tokens=99), PRICED, items)
    emulated = EmulatedTarget(kind="emulated", name="emulated-a")
    with pytest.raises(BadInput, match="output_tokens of 99"):
        check_may_spend(emulated, Budget(output_tokens=99), AppliedPrices(), items)
    check_may_spend(emulated, Budget(usd=1), AppliedPrices(), items)


def test_what_the_bytes_of_a_body_do_not_show_has_an_allowance() -> None:
    assert unseen_tokens(item("x").body) == TEMPLATE_TOKENS
    tool = {"type": "function", "function": {"name": "look"}}
    assert unseen_tokens(item("x", tools=[tool]).body) == TEMPLATE_TOKENS + TOOL_TOKENS
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {}}]
    body = {"messages": [{"role": "user", "content": parts}]}
    assert unseen_tokens(body) == TEMPLATE_TOKENS + MEDIA_TOKENS
    assert unseen_tokens({"prompt": "x"}) == TEMPLATE_TOKENS
    assert prompt_tokens_at_most(item("\u20ac" * 1000)) > 3000 + TEMPLATE_TOKENS
