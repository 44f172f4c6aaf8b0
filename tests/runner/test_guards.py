"""What keeps a run from starting: money without a cap, limits, references, a target in use."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.plan import Plan, PlanItem, StagePlan
from observatory.core.scenario import Budget
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.catalogue import Target
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.url import UrlTarget
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.endpoints.catalogue import check_inputs
from observatory.runner.checks.askable import check_askable
from observatory.runner.checks.preflight import check_levels
from observatory.runner.checks.references import check_references
from observatory.runner.locks import lock_name, target_lock
from observatory.runner.spending import check_may_spend

PRICED = AppliedPrices(
    [PriceRow("input", 1.0, "stated", "a test"), PriceRow("output", 4.0, "stated", "a test")],
    "stated",
)
BOUGHT = ApiTarget(kind="api", name="bought", provider="openai", model="m")
EMULATED = EmulatedTarget(kind="emulated", name="emulated-a")


def url(**more: Any) -> UrlTarget:
    return UrlTarget.model_validate({"kind": "url", "name": "u", "url": "http://h:1/v1", **more})


def plan(items: list[PlanItem], **stage: Any) -> Plan:
    level: dict[str, Any] = {"concurrency": None, "rate_per_s": None, **stage}
    stages = [StagePlan(0, "closed", warmup_s=0, steady_s=1, drain_s=1, **level)]
    return Plan("s", 1, "chat", True, "cold", items, stages, "0", "0")


def item(expected: Any, scorer: str, labels: list[str] | None = None) -> PlanItem:
    return PlanItem("id-1", "0", {}, 8, 10, expected=expected, scorer=scorer, labels=labels)


@pytest.mark.parametrize(
    ("target", "budget", "prices", "complaint"),
    [
        (BOUGHT, Budget(), PRICED, "has no budget"),
        (BOUGHT, Budget(output_tokens=5), PRICED, "has no budget"),
        (BOUGHT, Budget(usd=1), AppliedPrices(), "no known price"),
        (BOUGHT, Budget(usd=1), PRICED, None),
        (BOUGHT, Budget(requests=1), AppliedPrices(), None),
        (url(billing="tokens", price="unknown"), Budget(), AppliedPrices(), "has no budget"),
        (url(), Budget(), AppliedPrices(), None),
        (EMULATED, Budget(), AppliedPrices(), None),
    ],
)
def test_what_is_billed_by_tokens_needs_a_cap_that_can_be_kept(
    target: Target, budget: Budget, prices: AppliedPrices, complaint: str | None
) -> None:
    if complaint is None:
        check_may_spend(target, budget, prices)
    else:
        with pytest.raises(BadInput, match=complaint):
            check_may_spend(target, budget, prices)


@pytest.mark.parametrize(
    ("limit", "level", "fine"),
    [
        ({"max_concurrency": 4}, {"concurrency": 4}, True),
        ({"max_concurrency": 4}, {"concurrency": 5}, False),
        ({"max_rate": "2/s"}, {"rate_per_s": 2.0}, True),
        ({"max_rate": "2/s"}, {"rate_per_s": 2.1}, False),
        ({}, {"concurrency": 100_000}, True),
    ],
)
def test_a_targets_limits_are_not_exceeded(
    limit: dict[str, Any], level: dict[str, Any], fine: bool
) -> None:
    if fine:
        check_levels(url(**limit), plan([], **level), 1)
    else:
        with pytest.raises(BadInput, match=r"stages\[0\]"):
            check_levels(url(**limit), plan([], **level), 1)


def test_a_reference_that_no_scorer_can_use_is_named() -> None:
    check_references(plan([item("42", "number"), item(None, "number"), item("x", "none")]))
    with pytest.raises(BadInput, match="id-1"):
        check_references(plan([item("no digits here", "number")]))
    with pytest.raises(BadInput, match="and 2 more"):
        check_references(plan([item("z", "label", ["a", "b"])] * 7))


def test_a_lock_is_of_an_endpoint_and_goes_with_its_holder(tmp_path: Path) -> None:
    assert lock_name(url(name="one")) == lock_name(url(name="two"))
    assert lock_name(url()) != lock_name(url(url="http://h:2/v1"))
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\n"
            "from observatory.core.targets.emulated import EmulatedTarget\n"
            "from observatory.runner.locks import target_lock\n"
            "with target_lock(Path(sys.argv[1]), EmulatedTarget(kind='emulated', "
            "name='emulated-a')):\n    print('held', flush=True)\n    time.sleep(60)\n",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(EnvironmentFailed, match=f"process {holder.pid}"):
            target_lock(tmp_path, EMULATED).__enter__()
    finally:
        holder.kill()
        holder.communicate()
    with target_lock(tmp_path, EMULATED):
        pass


@pytest.mark.parametrize(
    ("wire", "request_kind", "body", "more", "complaint"),
    [
        ("openai", "completions", {"prompt": "x"}, {}, None),
        ("messages", "chat", {"messages": [{"role": "user", "content": "x"}]}, {}, None),
        ("responses", "chat", {"messages": [{"role": "user", "content": "x"}]}, {}, None),
        ("messages", "completions", {"prompt": "x"}, {}, "takes no completions requests"),
        ("responses", "completions", {"prompt": "x"}, {}, "takes no completions requests"),
        (
            "messages",
            "chat",
            {"messages": [{"role": "user", "content": "x"}], "temperature": 0.0},
            {"reasoning_effort": "high"},
            "no temperature and no top_k with thinking",
        ),
        (
            "responses",
            "chat",
            {"messages": [{"role": "user", "content": "x"}], "stop": ["."]},
            {},
            "has no stop sequences",
        ),
    ],
)
def test_what_a_wire_cannot_ask_is_refused_before_the_start(
    wire: str, request_kind: Any, body: dict[str, Any], more: dict[str, Any], complaint: str | None
) -> None:
    plan_item = PlanItem("id-7", "0", body, 16, 10)
    planned = msgspec.structs.replace(plan([plan_item]), request=request_kind, cache="natural")
    for target in (
        url(wire=wire, **more),
        EmulatedTarget(kind="emulated", name="emulated-w", wire=wire, **more),
    ):
        connection = check_inputs(target)
        assert connection.wire == wire
        if complaint is None:
            check_askable(planned, target, connection)
            continue
        with pytest.raises(BadInput, match=f"id-7 cannot be sent to target.*{complaint}"):
            check_askable(planned, target, connection)


def test_the_openai_package_does_not_speak_messages() -> None:
    with pytest.raises(ValidationError, match="has no wire: messages"):
        url(wire="messages", transport="sdk")
