"""Order, nonces and the plan's identity: seeded, complete, and independent of the order of access."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from observatory.core.plan import (
    NONCE_LENGTH,
    Order,
    Plan,
    PlanItem,
    StagePlan,
    nonce,
    plan_sha256,
)

SEEDS = st.integers(min_value=0, max_value=2**64)
ITEMS = st.integers(min_value=1, max_value=40)


@given(SEEDS, st.integers(0, 20), ITEMS, st.integers(0, 3))
def test_each_round_asks_every_item_once(seed: int, stage: int, items: int, round_: int) -> None:
    order = Order(seed, stage, items)
    requested = [order.item(round_ * items + place) for place in range(items)]
    assert sorted(requested) == list(range(items))


@given(SEEDS, ITEMS, st.lists(st.integers(0, 200), min_size=1, max_size=30))
def test_an_order_does_not_depend_on_who_asked_before(
    seed: int, items: int, indices: list[int]
) -> None:
    shared = Order(seed, 1, items)
    assert [shared.item(index) for index in indices] == [
        Order(seed, 1, items).item(index) for index in indices
    ]


def test_rounds_stages_and_seeds_differ() -> None:
    def first(seed: int, stage: int, start: int) -> list[int]:
        order = Order(seed, stage, 30)
        return [order.item(start + place) for place in range(30)]

    assert len({tuple(first(*key)) for key in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 30))}) == 4


def test_an_order_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one item"):
        Order(1, 0, 0)


def test_every_item_comes_first_about_equally_often() -> None:
    firsts = Counter(Order(seed, 0, 4).item(0) for seed in range(2000))
    assert all(400 < count < 600 for count in firsts.values())


@given(SEEDS, st.integers(0, 99), st.integers(0, 10**6))
def test_a_nonce_is_a_function_of_its_place(seed: int, stage: int, index: int) -> None:
    text = nonce(seed, stage, index)
    assert re.fullmatch(rf"[0-9a-f]{{{NONCE_LENGTH}}}", text)
    assert text == nonce(seed, stage, index)


def test_nonces_do_not_repeat() -> None:
    keys = [(seed, stage, index) for seed in (1, 2) for stage in range(5) for index in range(2000)]
    assert len({nonce(*key) for key in keys}) == len(keys)


def test_a_plans_identity_moves_with_what_is_sent() -> None:
    item = PlanItem("a", "0" * 64, {"prompt": "x", "max_tokens": 4}, 4, 3)
    stage = StagePlan(0, "constant", None, 1.0, 0.0, 2.0, 1.0, offsets_ns=[0, 10**9])
    plan = Plan("s", 1, "completions", True, "natural", [item], [stage], "1" * 64, "2" * 16)
    same = replace(plan, items=[replace(item)], stages=[replace(stage)])
    later = replace(plan, stages=[replace(stage, offsets_ns=[0, 10**9 + 1])])
    other = replace(plan, items=[replace(item, body={"prompt": "y", "max_tokens": 4})])
    assert plan_sha256(plan) == plan_sha256(same)
    assert len({plan_sha256(plan), plan_sha256(later), plan_sha256(other)}) == 3
