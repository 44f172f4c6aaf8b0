"""What a resumed campaign's crashed runs had spent counts against its caps."""

from typing import Any

import msgspec
import pytest

from observatory.core.caps_spent import CapsSpent
from observatory.core.run import StageTimes
from observatory.core.scenario import Budget
from observatory.economics.price_rows import AppliedPrices
from observatory.runner.repeated import all_spent, spent_of
from observatory.runner.spending import Spent, caps_left
from tests.store.made_runs import manifest

BUDGET = Budget(requests=30, usd=2.0)
COUNTED = StageTimes(0, "closed", 1, None, counted=True)
NOT_COUNTED = StageTimes(0, "closed", 1, None)


@pytest.mark.parametrize(
    ("status", "stages", "spent", "expected"),
    [
        (
            "crashed",
            [COUNTED],
            CapsSpent(requests=12, usd=0.5, assumed_usd=0.1),
            Spent(12, 0, 0.5, 0.1),
        ),
        ("crashed", [COUNTED, NOT_COUNTED], CapsSpent(requests=12), all_spent(BUDGET)),
        ("running", [NOT_COUNTED], None, all_spent(BUDGET)),
        ("crashed", [], None, Spent()),
        ("interrupted", [NOT_COUNTED], CapsSpent(requests=7, usd=0.25), Spent(7, 0, 0.25)),
        ("complete", [NOT_COUNTED], CapsSpent(requests=7, overrun=1.5), Spent(7, overrun=1.5)),
    ],
)
def test_what_a_run_had_spent(
    status: Any, stages: list[StageTimes], spent: CapsSpent | None, expected: Spent
) -> None:
    made = msgspec.structs.replace(manifest(), status=status, stages=stages, spent=spent)
    assert spent_of(made, BUDGET) == expected


def test_what_is_left_is_less_by_it() -> None:
    left = caps_left(BUDGET, AppliedPrices(), Spent(12, 0, 0.5).plus(Spent(20, 0, 0.5)))
    assert (left.requests, left.usd) == (0, 1.0)
