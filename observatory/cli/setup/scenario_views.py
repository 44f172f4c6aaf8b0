"""How scenarios and plans look in the terminal, for people (tables) and for scripts (JSON)."""

import json
from collections import Counter
from statistics import median
from typing import Any

from rich.table import Table

from observatory.cli.console import echo_json, open_console
from observatory.cli.measure.design_views import design_facts, print_design, print_turns
from observatory.core.counted_nouns import count_of
from observatory.core.matrices.design import Design
from observatory.core.plan import Plan, StagePlan, plan_sha256
from observatory.core.scenario import Scenario
from observatory.core.stage_words import human_stage
from observatory.core.units import format_duration, human_level
from observatory.inputs.scenario_files import ListedScenario, LoadedScenario
from observatory.inputs.text_files import shown_path

FIRST_OFFSETS = 5


def print_json(value: Any) -> None:
    """Print a value as indented JSON on standard output."""
    echo_json(json.dumps(value, indent=2))


def print_listing(listed: list[ListedScenario]) -> None:
    """Print a table of scenarios; what cannot be read is shown with its error."""
    table = Table(box=None, pad_edge=False)
    table.add_column("scenario", no_wrap=True)
    table.add_column("what it measures")
    for entry in listed:
        description = (
            entry.scenario.description if entry.scenario else f"cannot be read: {entry.error}"
        )
        table.add_row(entry.name, description, style=None if entry.scenario else "red")
    console = open_console()
    console.print(table)
    console.print("\nNext: observatory scenario show NAME, observatory run NAME --dry-run")


def print_scenario(loaded: LoadedScenario) -> None:
    """Print a resolved scenario: its workload, its load levels, its targets."""
    scenario = loaded.scenario
    console = open_console()
    console.print(f"{scenario.name} ({shown_path(loaded.path)})", style="bold")
    console.print(f"{scenario.description}\n")
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    for name, value in _scenario_facts(scenario):
        facts.add_row(name, value)
    console.print(facts)
    headings = ("stage", "level", "warm-up", "steady", "drain at most")
    stages = Table(*headings, box=None, pad_edge=False, title="stages", title_justify="left")
    for number, stage in enumerate(scenario.stages):
        timing = scenario.timing_of(number)
        times = (timing.warmup, timing.steady, timing.drain)
        level = human_level(scenario.arrivals.kind, stage.concurrency, stage.rate)
        stages.add_row(str(number + 1), level, *(format_duration(seconds) for seconds in times))
    console.print(stages)
    if loaded.design is not None:
        print_design(console, loaded.design)
        return
    targets = Table(box=None, pad_edge=False, title="targets", title_justify="left")
    for heading in ("target", "kind", "model", "hosting", "weights", "billing"):
        targets.add_column(heading, overflow="fold")
    for target in loaded.targets:
        model = getattr(target, "model", None) or "–"
        known = (target.hosting, target.weights, target.billing)
        targets.add_row(target.name, target.kind, model, *known)
    console.print(targets if loaded.targets else "no targets: name them when you run it")


def plan_facts(plan: Plan, design: Design | None = None) -> dict[str, Any]:
    """Return the facts of a plan, as JSON would have them; tokens of prompts are estimates.

    design: a matrix, whose turns are part of what will happen.
    """
    prompts = [item.prompt_tokens_estimate for item in plan.items]
    outputs = [item.max_tokens for item in plan.items]
    return {
        "scenario": plan.scenario,
        "seed": plan.seed,
        "plan_sha256": plan_sha256(plan),
        "comparison_key": plan.comparison_key,
        "items_sha256": plan.items_sha256,
        "request": plan.request,
        "stream": plan.stream,
        "cache": plan.cache,
        "items": len(plan.items),
        "items_by_task": dict(Counter(item.task or "" for item in plan.items)),
        "scored_items": sum(item.expected is not None for item in plan.items),
        "sensitive_items": sum(item.sensitive for item in plan.items),
        "prompt_tokens_estimate": _spread(prompts),
        "max_output_tokens": _spread(outputs),
        "seconds_at_most": sum(
            stage.warmup_s + stage.steady_s + stage.drain_s for stage in plan.stages
        ),
        "stages": [_stage_facts(stage, plan, prompts, outputs) for stage in plan.stages],
        "matrix": design_facts(design) if design is not None else None,
    }


def print_plan(facts: dict[str, Any], design: Design | None = None) -> None:
    """Print a plan's facts as lines and a table."""
    console = open_console()
    console.print(f"{facts['scenario']}, seed {facts['seed']}", style="bold")
    tasks = ", ".join(
        f"{count} {name or 'untitled'}" for name, count in facts["items_by_task"].items()
    )
    console.print(
        f"{count_of(facts['items'], 'item')} ({tasks}), {facts['scored_items']} scored, "
        f"{facts['sensitive_items']} sensitive",
    )
    console.print(f"{facts['request']}, cache {facts['cache']}, stream {facts['stream']}".lower())
    for title, name in (
        ("prompt tokens, about", "prompt_tokens_estimate"),
        ("output tokens, at most", "max_output_tokens"),
    ):
        spread = facts[name]
        console.print(f"{title}: {spread['min']} to {spread['max']}, median {spread['median']:g}")
    headings = ("stage", "level", "seconds", "requests", "prompt tokens", "output tokens")
    table = Table(*headings, box=None, pad_edge=False)
    for stage in facts["stages"]:
        counts = (stage["requests"], stage["prompt_tokens_estimate"], stage["max_output_tokens"])
        cells = ("as answered" if count is None else f"{count:,}" for count in counts)
        seconds = f"{stage['warmup_s'] + stage['steady_s']:g}"
        table.add_row(str(stage["stage"] + 1), stage["level"], seconds, *cells)
    console.print(table)
    for stage in facts["stages"]:
        if stage["first_offsets_s"]:
            first = ", ".join(f"{at:.3f}" for at in stage["first_offsets_s"])
            console.print(f"{human_stage(stage['stage'])} sends at {first} ... s")
    console.print(f"plan {facts['plan_sha256']}")
    console.print(f"comparison key {facts['comparison_key']}")
    console.print(f"at most {facts['seconds_at_most']:g} s a target, start-up apart")
    if design is not None:
        runs = len(design.cells) * design.repeats
        print_design(console, design)
        print_turns(console, design)
        console.print(f"at most {facts['seconds_at_most'] * runs:g} s in all, start-ups apart")


def _stage_facts(
    stage: StagePlan, plan: Plan, prompts: list[int], outputs: list[int]
) -> dict[str, Any]:
    if stage.priming:
        requests: int | None = len(plan.items)
        outputs = [1]
    else:
        requests = None if stage.offsets_ns is None else len(stage.offsets_ns)
    return {
        "stage": stage.index,
        "kind": stage.kind,
        "level": human_level(stage.kind, stage.concurrency, stage.rate_per_s),
        "warmup_s": stage.warmup_s,
        "steady_s": stage.steady_s,
        "drain_s": stage.drain_s,
        "requests": requests,
        "prompt_tokens_estimate": _total(requests, prompts),
        "max_output_tokens": _total(requests, outputs),
        "first_offsets_s": [at / 1e9 for at in (stage.offsets_ns or [])[:FIRST_OFFSETS]],
    }


def _total(requests: int | None, each: list[int]) -> int | None:
    return None if requests is None else round(requests * sum(each) / len(each))


def _scenario_facts(scenario: Scenario) -> list[tuple[str, str]]:
    workload = scenario.workload.model_dump(mode="json", exclude_none=True, exclude={"kind"})
    facts: list[tuple[str, str]] = [("workload", scenario.workload.kind)]
    facts += [(f"  {name}", _text(value)) for name, value in workload.items()]
    facts.append(("arrivals", _text(scenario.arrivals.model_dump(mode="json"))))
    if scenario.slo is not None:
        facts.append(("slo", _text(scenario.slo.model_dump(mode="json", exclude_none=True))))
    budget = scenario.budget.model_dump(mode="json", exclude_none=True)
    facts += [
        ("budget", _text(budget) if budget else "none"),
        ("seed", str(scenario.seed)),
        ("processes", str(scenario.processes)),
        ("store_text", _text(scenario.store_text)),
    ]
    return facts


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {_text(part)}" for name, part in value.items() if part is not None
        )
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spread(values: list[int]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values)}
