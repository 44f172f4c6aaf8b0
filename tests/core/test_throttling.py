"""Which policy holds for a target, and which of them make two runs incomparable."""

from typing import Any

import pytest
from pydantic import ValidationError

from observatory.core.scenario import Scenario, comparison_key
from observatory.core.targets.throttling import Throttling
from observatory.core.targets.url import UrlTarget

OBEY = {"policy": "obey", "max_attempts": 3, "max_wait": "5s"}


def scenario(**fields: Any) -> Scenario:
    given: dict[str, Any] = {
        "name": "s",
        "workload": {"kind": "tasks", "tasks": ["support-tickets"]},
        "arrivals": {"kind": "closed"},
        "stages": [{"concurrency": 1}],
    }
    return Scenario.model_validate(given | fields)


def target(**fields: Any) -> UrlTarget:
    return UrlTarget(**{"kind": "url", "name": "t", "url": "http://h/v1", "model": "m"} | fields)


def test_a_target_has_its_own_policy_else_the_scenarios() -> None:
    assert scenario().with_policy(target()).throttling == Throttling()
    assert scenario(throttling=OBEY).with_policy(target()).throttling == Throttling(
        policy="obey", max_attempts=3, max_wait="5s"
    )
    own = target(throttling={"policy": "pace", "requests_per_minute": 60})
    assert scenario(throttling=OBEY).with_policy(own) == own


def test_the_default_policy_leaves_old_keys_as_they_were() -> None:
    """This key was written by a version that knew no policy."""
    assert comparison_key(scenario(), "items") == "42585d5f7dea2d06"
    assert "throttling" not in scenario().comparison_fields()
    assert scenario(throttling={"policy": "record"}).comparison_fields() == (
        scenario().comparison_fields()
    )


def test_another_policy_of_the_scenario_is_another_question_and_a_targets_is_not() -> None:
    obeying = scenario(throttling=OBEY)
    assert comparison_key(obeying, "items") != comparison_key(scenario(), "items")
    assert obeying.comparison_fields()["throttling"]["policy"] == "obey"
    with_target = scenario(targets=[target(throttling=OBEY).model_dump(mode="json")])
    assert comparison_key(with_target, "items") == comparison_key(scenario(), "items")


def test_figures_are_for_pace_alone() -> None:
    with pytest.raises(ValidationError, match="are for policy: pace"):
        Throttling(policy="obey", requests_per_minute=5)
