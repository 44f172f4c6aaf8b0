"""Resolve a scenario into a plan: the requests and their instants; pure except for reading the dataset.

Equal scenarios and datasets give equal plans on every machine; nothing is opened or sent here.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import msgspec
from msgspec.structs import replace

from observatory.core.errors import BadInput
from observatory.core.plan import PRIMING, Plan, StagePlan
from observatory.core.scenario import (
    FileWorkload,
    Scenario,
    SyntheticWorkload,
    TaskSet,
    TaskWorkload,
    Workload,
    comparison_key,
)
from observatory.workload.bodies import plan_item
from observatory.workload.draws import UniformStream
from observatory.workload.prompt_items import PromptItem
from observatory.workload.rows import file_prompt_items
from observatory.workload.synthetic import synthetic_prompt_items
from observatory.workload.tasks import load_tasks

MAX_OPEN_REQUESTS = 5_000_000
"""Open-loop requests of one plan: 40 MB of offsets; more is a typing error or several runs."""
MAX_TEXT_BYTES = 256 << 20
"""Text of all items together; every worker holds it."""


def make_plan(
    scenario: Scenario, folder: Path, note: Callable[[str], None] = lambda text: None
) -> Plan:
    """Return the plan of a scenario whose file lies in `folder`; raise BadInput where its dataset or size is wrong.

    note gets a sentence on each part of the dataset that is passed over.
    """
    workload = scenario.workload
    prompt_items = _prompt_items(workload, scenario.seed, folder, note)
    items = [plan_item(prompt_item, workload) for prompt_item in prompt_items]
    if sum(len(msgspec.json.encode(item.body)) for item in items) > MAX_TEXT_BYTES:
        raise BadInput(
            f"the workload's text is more than {MAX_TEXT_BYTES >> 20} MiB",
            where="workload",
            fix="set workload.items to fewer items",
        )
    dataset = [[item.prompt_id, item.sha256, item.expected, item.scorer] for item in items]
    encoded = msgspec.json.encode(dataset, order="deterministic")
    items_sha256 = hashlib.sha256(encoded).hexdigest()
    return Plan(
        scenario=scenario.name,
        seed=scenario.seed,
        request=workload.request,
        stream=workload.stream,
        cache=workload.cache,
        items=items,
        stages=_stages(scenario),
        items_sha256=items_sha256,
        comparison_key=comparison_key(scenario, items_sha256),
    )


def _prompt_items(
    workload: Workload, seed: int, folder: Path, note: Callable[[str], None]
) -> list[PromptItem]:
    match workload:
        case SyntheticWorkload():
            return synthetic_prompt_items(workload, seed)
        case TaskWorkload():
            prompt_items = [
                prompt_item
                for name in dict.fromkeys(workload.tasks)
                for prompt_item in _task_prompt_items(name, workload)
            ]
        case FileWorkload():
            prompt_items = file_prompt_items(workload, folder, note)
        case _:
            assert_never(workload)
    kept = UniformStream(seed, "items").choice(
        len(prompt_items), workload.items or len(prompt_items)
    )
    return [prompt_items[place] for place in kept]


def _task_prompt_items(name: TaskSet, workload: TaskWorkload) -> list[PromptItem]:
    """Return a built-in set. A completions request has no turn to answer in, so its prompt ends with a cue."""
    cue = "\n\nAnswer:" if workload.request == "completions" else ""
    return [
        PromptItem(
            prompt_id=item.id,
            where=f"task set {name}, item {item.id}",
            prompt=item.prompt if item.prompt.endswith(":") else item.prompt + cue,
            system=item.system,
            max_tokens=item.max_tokens,
            task=item.task,
            expected=item.expected,
            scorer=item.scorer,
            labels=item.labels,
        )
        for item in load_tasks(name)
    ]


def _stages(scenario: Scenario) -> list[StagePlan]:
    """Return the scenario's stages; a warm cache is primed by a stage before them."""
    stages = [_prime(scenario)] if scenario.workload.cache == "warm" else []
    left = MAX_OPEN_REQUESTS
    for number in range(len(scenario.stages)):
        stage = _stage(scenario, number, len(stages), left)
        left -= len(stage.offsets_ns or ())
        stages.append(stage)
    return stages


def _prime(scenario: Scenario) -> StagePlan:
    """Return a stage that sends every item once, one at a time, so that the server's cache holds them all."""
    return StagePlan(
        index=0,
        kind=PRIMING,
        concurrency=1,
        rate_per_s=None,
        warmup_s=0.0,
        steady_s=0.0,
        drain_s=scenario.timing.drain,
    )


def _stage(scenario: Scenario, number: int, index: int, left: int) -> StagePlan:
    """Return stage `number` of the scenario at place `index` of the plan, of at most `left` open requests."""
    stage, timing, arrivals = scenario.stages[number], scenario.timing_of(number), scenario.arrivals
    offsets = _offsets(scenario, number, left) if arrivals.open_loop else None
    planned = StagePlan(
        index=index,
        kind=arrivals.kind,
        concurrency=stage.concurrency,
        rate_per_s=stage.rate,
        warmup_s=timing.warmup,
        steady_s=timing.steady,
        drain_s=timing.drain,
        think_time_s=arrivals.think_time_s,
        offsets_ns=offsets,
    )
    limit = arrivals.in_flight_limit
    return planned if limit is None else replace(planned, max_in_flight=limit)


def _offsets(scenario: Scenario, number: int, left: int) -> list[int]:
    """Return an open-loop stage's instants. They are keyed by the scenario's stage, independent of priming."""
    timing = scenario.timing_of(number)
    rate_per_s = scenario.stages[number].rate or 0.0
    length_s = timing.warmup + timing.steady
    where = f"stages[{number}]"
    if rate_per_s * length_s > left:
        raise BadInput(
            f"{rate_per_s * length_s:,.0f} requests are planned; "
            f"the most in one scenario is {MAX_OPEN_REQUESTS:,}",
            where=where,
            fix="lower the rate or shorten the stage",
        )
    draws = UniformStream(scenario.seed, "arrivals", number)
    offsets = scenario.arrivals.draw(draws, rate_per_s, length_s)
    if not offsets or offsets[-1] < timing.warmup * 1e9:
        raise BadInput(
            "no request is due in the steady window", where=where, fix="raise the rate or steady"
        )
    return offsets
