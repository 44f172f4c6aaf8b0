"""What a run would do: stages, requests, tokens at the most, money at the most."""

import json
import os
from typing import Any

from observatory.cli.console import echo, echo_json, open_console
from observatory.cli.measure.design_views import design_facts, print_design, print_turns
from observatory.connect.proxies import proxy_of
from observatory.core.counted_nouns import count_of
from observatory.core.distribution import in_words
from observatory.core.plan import Plan, plan_sha256
from observatory.core.scenario import Budget, Scenario
from observatory.core.stage_words import human_stage
from observatory.core.units import human_level, human_seconds
from observatory.core.workspace import Workspace
from observatory.endpoints.api import missing_keys
from observatory.endpoints.catalogue import installed_distribution, planned_connection
from observatory.presentation.dollars import write_usd
from observatory.runner.campaign import look_before_start
from observatory.runner.campaign_execution import RunRequest
from observatory.runner.checks.capacity import demand_line


def print_dry_run(workspace: Workspace, request: RunRequest, json_output: bool) -> None:
    """Plan, check the budget and this host, print; nothing is opened and nothing is sent."""
    from observatory.cli.measure.quote_view import quote_lines
    from observatory.economics.prices import prices_of
    from observatory.inputs.price_files import agreed_prices
    from observatory.runner.checks.askable import check_askable
    from observatory.runner.checks.references import check_references
    from observatory.runner.checks.target_names import check_names
    from observatory.runner.quoting import quote_request
    from observatory.runner.spending import check_may_spend
    from observatory.workload.planning import make_plan

    scenario = request.scenario
    check_names(request)
    plan = make_plan(scenario, request.folder, lambda text: echo(f"note: {text}", err=True))
    check_references(plan)
    rows = []
    agreed = agreed_prices(workspace)
    for target in request.targets:
        connection = planned_connection(target)
        check_askable(plan, target, connection)
        proxy_of(connection)  # refuses what a run could not go through
        prices = prices_of(target, agreed=agreed)
        check_may_spend(target, scenario.budget, prices, plan.items)
        rows.append(
            {
                "target": target.name,
                "kind": target.kind,
                "engine": installed_distribution(target),
                "price_basis": prices.basis,
            }
        )
    preflight = look_before_start(workspace, request, plan)
    facts = _facts(scenario, plan, rows)
    facts["capacity"] = preflight.estimate.to_dict()
    facts["warnings"] = [*preflight.warnings, *missing_keys(request.targets, os.environ)]
    quotes = quote_request(workspace, request, plan)
    facts["quote"] = quotes.to_dict()
    facts["matrix"] = design_facts(request.design) if request.design is not None else None
    if json_output:
        echo_json(json.dumps(facts, indent=2))
        return
    _print_plan(request, plan, facts, rows)
    for line in quote_lines(quotes):
        echo(line)
    if request.design is not None:
        print_design(open_console(), request.design)
        print_turns(open_console(), request.design)
        stages_s = sum(stage.warmup_s + stage.steady_s for stage in plan.stages)
        load = human_seconds(stages_s * len(request.design.cells) * request.design.repeats)
        echo(f"  load: {load} in all, start-ups, drains and sealing apart")
    echo(f"  load generator: {demand_line(preflight.estimate)}")
    for line in facts["warnings"]:
        echo(f"  warning: {line}")
    echo("Nothing was sent.")


def _print_plan(
    request: RunRequest, plan: Plan, facts: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """Print the stages, the targets and the budget."""
    scenario = request.scenario
    echo(f"{scenario.name}: {count_of(len(plan.items), 'item')}, plan {facts['plan_sha256'][:12]}")
    for stage in facts["stages"]:
        planned = stage["requests"] if stage["requests"] is not None else "as many as it takes"
        echo(
            f"  {human_stage(stage['stage'], stage['level'])}, {stage['seconds']:g} s, "
            f"requests: {planned}, at most {count_of(stage['max_output_tokens_each'], 'output token')} each"
        )
    for row in rows:
        served = f", served by {in_words(row['engine'])}" if row["engine"] else ""
        basis = row["price_basis"] or "none"
        echo(f"  target {row['target']} ({row['kind']}){served}, prices: {basis}")
    each, design = "", request.design
    if design is not None:  # caps hold for a run; a matrix has many
        each = f" for each of {count_of(len(design.cells) * design.repeats, 'run')}"
    echo(f"  budget: {_caps(scenario.budget)}{each}")


def _caps(budget: Budget) -> str:
    counted = ((budget.requests, "requests"), (budget.output_tokens, "output tokens"))
    caps = [f"{cap:,} {name}" for cap, name in counted if cap is not None]
    if budget.usd is not None:
        caps.insert(0, write_usd(budget.usd))
    return ", ".join(caps) or "none"


def _facts(scenario: Scenario, plan: Plan, targets: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "scenario": scenario.name,
        "plan_sha256": plan_sha256(plan),
        "items": len(plan.items),
        "targets": targets,
        "budget": scenario.budget.model_dump(),
        "stages": [
            {
                "stage": stage.index,
                "level": human_level(stage.kind, stage.concurrency, stage.rate_per_s),
                "seconds": stage.warmup_s + stage.steady_s,
                "requests": len(stage.offsets_ns) if stage.offsets_ns is not None else None,
                "max_output_tokens_each": max(item.max_tokens for item in plan.items),
            }
            for stage in plan.stages
        ],
    }
