"""The load of an execution: each stage on each of its targets, in an order that is turned round.

A drift of the machine then does not favour one of the targets. Nothing is opened or sealed here.
"""

from dataclasses import replace

import msgspec

from observatory.core.counted_nouns import count_of
from observatory.core.emulation.profile import FAULT_KINDS
from observatory.core.errors import BadInput, Interrupted, TargetFailed
from observatory.core.plan import PlanItem, StagePlan
from observatory.core.stage_words import human_stage
from observatory.core.units import human_level
from observatory.endpoints.opened import OpenTarget
from observatory.load.handoff import Handoff
from observatory.runner.campaign_execution import CampaignExecution, CampaignMember
from observatory.runner.locks import lock_name
from observatory.runner.progress import stage_progress
from observatory.runner.spending import caps_left, carriers, spent_by
from observatory.runner.stage_execution import (
    StageExecution,
    StageExecutionResult,
    run_stage_execution,
)
from observatory.store.folder.manifest import write_manifest
from observatory.wires.wires import wire_of


def load(execution: CampaignExecution) -> None:
    """Run every stage on every member that still runs; Interrupted where the person stopped it.

    A member whose target fails or whose budget is spent is over, and the others go on.
    """
    campaign = execution.campaign
    stage_executions = [
        (stage, member)
        for number, stage in enumerate(campaign.plan.stages)
        for member in (execution.members if number % 2 == 0 else execution.members[::-1])
    ]
    for place, (stage, member) in enumerate(stage_executions):
        if member.status != "running":
            continue
        execution.executions_left_s = execution.later_s + sum(
            later.warmup_s + later.steady_s
            for later, its in stage_executions[place + 1 :]
            if its.status == "running"
        )
        try:
            result = _run_one(execution, member, stage)
        except (BadInput, TargetFailed) as error:
            member.error = error
            raise
        member.manifest = msgspec.structs.replace(
            member.manifest,
            stages=[*member.manifest.stages, result.times],
            spent=member.spent.stored(),
        )
        write_manifest(member.folder, member.manifest)
        if result.outcome == "interrupted":
            raise Interrupted(result.reason or "stopped")
        if result.outcome != "complete":
            member.over(result.outcome, result.reason)
            if any(
                other.status == "running" for other in execution.members
            ):  # else the result is next
                campaign.observer.report(f"{member.target.name}: {result.reason}")


def _run_one(
    execution: CampaignExecution, member: CampaignMember, stage: StagePlan
) -> StageExecutionResult:
    opened = member.opened
    assert opened is not None
    campaign, sampler = execution.campaign, execution.sampler
    stage_execution = _stage_execution(execution, member, opened, stage)

    def started(process: int) -> None:
        if sampler is not None:
            sampler.watch("client", process)

    try:
        result = run_stage_execution(
            stage_execution,
            stopping=lambda: campaign.stop.requested,
            failed=opened.alive,
            started=started,
            moment=lambda beats: campaign.observer.stage_execution(
                stage_progress(
                    stage_execution,
                    beats,
                    now=execution.anchor.now(),
                    emulated=member.manifest.target.emulated,
                    stages=len(campaign.plan.stages),
                    later_s=execution.executions_left_s,
                    place=execution.place,
                )
            ),
        )
    finally:
        if sampler is not None:
            sampler.unwatch("client")
    member.spent = member.spent.plus(spent_by(stage_execution.handoff.caps, result.last_words))
    if result.reason is not None:  # it may quote a server's log
        result = replace(result, reason=opened.masker.exact(result.reason))
    return result


def _stage_execution(
    execution: CampaignExecution, member: CampaignMember, opened: OpenTarget, stage: StagePlan
) -> StageExecution:
    """Return a stage on a target as its child process runs it, within what is left of the budget."""
    campaign = execution.campaign
    scenario, plan = campaign.request.scenario, campaign.plan
    caps = caps_left(scenario.budget, member.prices, member.spent_before.plus(member.spent))
    processes = 1 if stage.priming else scenario.processes
    workers = carriers(caps, plan.items, processes)
    if workers < processes:
        level = human_level(stage.kind, stage.concurrency, stage.rate_per_s)
        campaign.observer.report(
            f"{member.target.name}: what is left of the budget is too little to be shared out: {workers} "
            f"of {count_of(processes, 'process', 'processes')} carry {human_stage(stage.index, level)}"
        )
    stops = scenario.stop_on_refusals
    if stops is None:  # a target with faults refuses on purpose
        stops = not any(opened.facts.injected_faults.get(kind) for kind in FAULT_KINDS)
    handoff = Handoff(
        run_id=member.manifest.run_id,
        target=member.target.name,
        anchor=execution.anchor,
        connection=opened.connection,
        request=plan.request,
        stream=plan.stream,
        cache=plan.cache,
        seed=plan.seed,
        items=primers(plan.items, wire_of(opened.connection).least_output)
        if stage.priming
        else plan.items,
        stage=stage,
        journal=str(member.folder / "journal" / f"stage-{stage.index:02d}"),
        workers=workers,
        store_text=scenario.store_text,
        caps=caps,
        stop_on_refusals=stops,
    )
    return StageExecution(
        handoff,
        member.folder / "logs" / f"locust-stage-{stage.index:02d}.log",
        campaign.workspace.loadtests,
        campaign.locks.get(lock_name(member.target)),
    )


def primers(items: list[PlanItem], output: int = 1) -> list[PlanItem]:
    """Return the items for priming: the whole prompt, and as short an answer as the API allows."""
    return [
        msgspec.structs.replace(item, body={**item.body, "max_tokens": output}, max_tokens=output)
        for item in items
    ]
