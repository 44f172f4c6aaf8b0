"""What ends a campaign is the reason of the run whose target failed; the others name that target."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from observatory.core.errors import BadInput, EnvironmentFailed, Interrupted, ObservatoryError
from observatory.runner.campaign import _end_all
from observatory.runner.campaign_execution import CampaignMember

REFUSED = BadInput(
    "access was refused with HTTP 401", where="https://rented", fix="look at the key"
)


def member(name: str, stages: int = 0, error: ObservatoryError | None = None) -> Any:
    target: Any = SimpleNamespace(name=name)
    manifest: Any = SimpleNamespace(stages=[None] * stages)
    prices: Any = None
    return CampaignMember(target, prices, Path(), manifest, error=error)


def ended(error: ObservatoryError, *members: Any) -> list[tuple[str, str | None]]:
    execution: Any = SimpleNamespace(members=list(members))
    _end_all(execution, error)
    return [(one.status, one.reason) for one in members]


def test_a_failed_target_is_the_reason_of_its_own_run_alone() -> None:
    assert ended(REFUSED, member("team-a"), member("rented", error=REFUSED)) == [
        ("crashed", "not run, because rented failed"),
        ("crashed", str(REFUSED)),
    ]


def test_a_run_that_had_begun_was_stopped() -> None:
    assert ended(REFUSED, member("team-a", stages=1), member("rented", error=REFUSED))[0] == (
        "crashed",
        "stopped, because rented failed",
    )


def test_a_run_that_is_over_keeps_its_end() -> None:
    done = member("done")
    done.over("budget_reached", "40 of 40 requests")
    assert ended(REFUSED, done, member("rented", error=REFUSED))[0] == (
        "budget_reached",
        "40 of 40 requests",
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [(EnvironmentFailed("the disk is full"), "crashed"), (Interrupted("stopped"), "interrupted")],
)
def test_what_concerns_the_machine_or_was_asked_by_a_person_is_the_reason_of_all(
    error: ObservatoryError, status: str
) -> None:
    assert ended(error, member("a"), member("b")) == [(status, str(error))] * 2
