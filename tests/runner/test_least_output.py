"""The smallest possible output limit is not below the wire's own minimum."""

from pathlib import Path

import msgspec
import pytest

from observatory.core.errors import BadInput
from observatory.core.plan import Plan
from observatory.core.scenario import Scenario
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.catalogue import Target
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.url import UrlTarget
from observatory.limits.limit_probe import LimitProbe, requested
from observatory.limits.limit_steps import Bounds, History, LimitStep
from observatory.runner.checks.askable import check_askable
from observatory.runner.interleaving import primers
from observatory.wires.requests_body import render
from observatory.wires.wires import WIRES
from tests.load.stages import item, make_handoff

STEP = LimitStep(((60.0, 6.0),), "sounding")


def api(wire: str | None) -> Target:
    return ApiTarget.model_validate(
        {"kind": "api", "name": "t", "provider": "openai", "model": "m", "wire": wire}
    )


@pytest.mark.parametrize(
    ("target", "output"),
    [
        (api("responses"), 16),
        (api("chat"), 1),
        (api(None), 1),
        (
            UrlTarget(
                kind="url", name="t", url="http://127.0.0.1:1/v1", model="m", wire="responses"
            ),
            16,
        ),
        (EmulatedTarget(kind="emulated", name="emulated-t", wire="messages"), 1),
    ],
)
def test_a_probe_asks_for_the_smallest_answers_that_a_wire_takes(
    target: Target, output: int
) -> None:
    probe = LimitProbe("tokens", target, Bounds(100, 4, 3000), each=100.0)
    scenario = Scenario.model_validate(requested(probe, STEP, History([], 100.0)))
    workload = scenario.model_dump(mode="json")["workload"]
    assert workload["output_tokens"]["tokens"] == output
    assert workload["prompt_tokens"]["tokens"] + output == 100


@pytest.mark.parametrize("limit", [1, 15, 16])
def test_a_plan_with_a_lower_output_limit_than_the_wire_takes_is_refused(
    limit: int, tmp_path: Path
) -> None:
    plan_item = item("hello", max_tokens=limit)
    connection = make_handoff(tmp_path, 1, [plan_item], connection={"wire": "responses"}).connection
    plan = Plan(
        scenario="s",
        seed=1,
        request="chat",
        stream=True,
        cache="natural",
        items=[plan_item],
        stages=[],
        items_sha256="0",
        comparison_key="k",
    )
    if limit == 16:
        check_askable(plan, api("responses"), connection)
        return
    with pytest.raises(BadInput, match=f"output limit of {limit} tokens?.*no less than 16"):
        check_askable(plan, api("responses"), connection)


@pytest.mark.parametrize(("wire", "field"), [("responses", 16), ("openai", 1), ("messages", 1)])
def test_priming_asks_for_no_less_than_the_wire_takes(
    wire: str, field: int, tmp_path: Path
) -> None:
    [primer] = primers([item("hello", max_tokens=500)], WIRES[wire].least_output)
    connection = make_handoff(tmp_path, 1, [primer], connection={"wire": wire}).connection
    body, _ = render(primer, connection, request="chat", stream=True, cache="natural")
    sent = msgspec.json.decode(body)
    limits = [sent[name] for name in ("max_output_tokens", "max_tokens") if name in sent]
    assert limits == [field] == [primer.max_tokens]
