"""A campaign from its first line to its last: targets up, sensors on, stages interleaved, sealed.

Every target gets the same plan; stage by stage the order of the targets is turned round, so that
a drift of the machine does not favour one of them. The runs share one anchor.
"""

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from observatory.core.clock import Anchor, new_anchor
from observatory.core.errors import BadInput, ExitCode, Interrupted, ObservatoryError
from observatory.core.plan import Plan, PlanItem, StagePlan, plan_sha256
from observatory.core.record import WorkerEnd
from observatory.core.run import (
    MANIFEST_FORMAT,
    Manifest,
    RunStatus,
    TargetFacts,
)
from observatory.core.scenario import Scenario
from observatory.core.target import Target
from observatory.core.workspace import Workspace
from observatory.economics.prices import AppliedPrices, prices_of
from observatory.endpoints.catalogue import (
    OpenContext,
    OpenTarget,
    check_inputs,
    open_target,
)
from observatory.load.handoff import Handoff
from observatory.runner.calibration import load_calibration, this_host
from observatory.runner.leg import Leg, LegResult, run_leg
from observatory.runner.locks import target_lock
from observatory.runner.preflight import Preflight, check_before_start
from observatory.runner.progress import Observer, leg_progress
from observatory.runner.recovery import recover_crashed_runs
from observatory.runner.references import check_references
from observatory.runner.spending import caps_left, check_may_spend
from observatory.runner.stopping import Stop
from observatory.store.manifest import create_run, write_manifest
from observatory.store.run_lock import hold_lock
from observatory.telemetry.environment import describe_environment, software_versions
from observatory.telemetry.host_limits import raise_open_files, read_host_limits
from observatory.telemetry.sampler_process import SamplerHandle, start_sampler
from observatory.workload.planning import make_plan

if TYPE_CHECKING:
    from observatory.runner.finish import FinishedRun


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked to be run. folder is the scenario file's, for relative paths.

    force: start although this host is estimated to be too small for the plan.
    """

    scenario: Scenario
    folder: Path
    targets: list[Target]
    publish: bool = False
    label: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """What came of it, and the exit code that says so."""

    campaign_id: str
    runs: "list[FinishedRun]"
    exit_code: ExitCode
    error: ObservatoryError | None = None


@dataclass(slots=True)
class Member:
    """One run of the campaign while it lives."""

    target: Target
    prices: AppliedPrices
    folder: Path
    manifest: Manifest
    opened: OpenTarget | None = None
    ends: list[WorkerEnd] = field(default_factory=list)
    status: RunStatus = "running"
    reason: str | None = None

    def over(self, status: RunStatus, reason: str | None) -> None:
        """It will get no more load; the first reason stands."""
        if self.status == "running":
            self.status, self.reason = status, reason


@dataclass(slots=True)
class Campaign:
    """The state of one campaign; `run_campaign` is its story."""

    workspace: Workspace
    request: Request
    observer: Observer
    plan: Plan
    campaign_id: str
    anchor: Anchor
    stop: Stop
    preflight: Preflight
    members: list[Member] = field(default_factory=list)
    sampler: SamplerHandle | None = None
    legs_left_s: float = 0.0


def run_campaign(workspace: Workspace, request: Request, observer: Observer) -> CampaignResult:
    """Run the scenario on every target and answer what came of it.

    Raises BadInput before anything starts where the request cannot be run; whatever happens after
    the run folders exist is in them and in the answer's exit code.
    """
    if not request.targets:
        raise BadInput(
            f"scenario {request.scenario.name} names no target",
            fix="add targets: to it, or pass --target NAME or --url URL --model NAME",
        )
    plan = make_plan(request.scenario, request.folder)
    check_references(plan)
    prices = [prices_of(target) for target in request.targets]
    for target, price in zip(request.targets, prices, strict=True):
        check_may_spend(target, request.scenario.budget, price)
        check_inputs(target)
    preflight = look_before_start(workspace, request, plan)
    for line in preflight.warnings:
        observer.say(f"warning: {line}")
    raise_open_files(preflight.open_files)
    with ExitStack() as stack:
        for target in request.targets:
            stack.enter_context(target_lock(workspace.results, target))
        for line in recover_crashed_runs(workspace):
            observer.say(line)
        stop = stack.enter_context(Stop().listening())
        campaign = Campaign(
            workspace,
            request,
            observer,
            plan,
            _name(request.scenario.name),
            new_anchor(),
            stop,
            preflight,
        )
        for target, price in zip(request.targets, prices, strict=True):
            campaign.members.append(_enlist(campaign, stack, target, price))
        error = _measure(campaign)
        runs = [_finish(campaign, member) for member in campaign.members]
        _remove_campaign_folder(campaign)
    return CampaignResult(campaign.campaign_id, runs, _exit_code(campaign, runs, error), error)


def look_before_start(workspace: Workspace, request: Request, plan: Plan) -> Preflight:
    """Whether this host can carry the plan, by its limits and its stored calibration; starts nothing."""
    return check_before_start(
        request.scenario,
        plan,
        request.targets,
        limits=read_host_limits(),
        host=this_host(),
        calibration=load_calibration(workspace),
        force=request.force,
    )


def _measure(campaign: Campaign) -> ObservatoryError | None:
    """Open, load and close everything; answers the error that ended it early, if one did."""
    try:
        with ExitStack() as open_things:
            with campaign.stop.at_once():
                for member in campaign.members:
                    _open(campaign, open_things, member)
                campaign.sampler = _start_sampler(campaign, open_things)
            _load(campaign)
    except ObservatoryError as error:
        status: RunStatus = "interrupted" if isinstance(error, Interrupted) else "crashed"
        for member in campaign.members:
            member.over(status, str(error))
        return error
    for member in campaign.members:
        member.over("complete", None)
    return None


def _enlist(campaign: Campaign, stack: ExitStack, target: Target, prices: AppliedPrices) -> Member:
    scenario = campaign.request.scenario
    facts = TargetFacts(
        name=target.name,
        kind=target.kind,
        hosting=target.hosting,
        weights=target.weights,
        billing=target.billing,
        emulated=target.kind == "emulated",
        price=prices.to_dict(),
        cost_basis=prices.basis,
    )
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        run_id=_name(scenario.name, target.name),
        campaign_id=campaign.campaign_id,
        scenario_name=scenario.name,
        scenario=_without_targets(scenario),
        seed=scenario.seed,
        target=facts,
        comparison_key=campaign.plan.comparison_key,
        comparison_fields={
            **scenario.comparison_fields(),
            "items_sha256": campaign.plan.items_sha256,
        },
        plan_sha256=plan_sha256(campaign.plan),
        anchor=campaign.anchor,
        created_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        status="running",
        stages=[],
        environment=describe_environment(campaign.workspace.root),
        software=software_versions(),
        label=campaign.request.label,
        publish=campaign.request.publish,
        store_text=scenario.store_text,
        telemetry=scenario.telemetry.model_dump(mode="json"),
        capacity=campaign.preflight.estimate.to_dict(),
    )
    folder = create_run(campaign.workspace, manifest)
    stack.enter_context(hold_lock(folder))
    return Member(target, prices, folder, manifest)


def _open(campaign: Campaign, open_things: ExitStack, member: Member) -> None:
    context = OpenContext(log_folder=member.folder / "logs", say=campaign.observer.say)
    opened = open_things.enter_context(open_target(member.target, context))
    if member.target.kind in ("url", "api"):
        from observatory.endpoints.check import check_target

        check_target(opened)
    member.opened = opened
    facts = msgspec.structs.replace(
        opened.facts, price=member.prices.to_dict(), cost_basis=member.prices.basis
    )
    member.manifest = msgspec.structs.replace(member.manifest, target=facts)
    write_manifest(member.folder, member.manifest)


def _start_sampler(campaign: Campaign, open_things: ExitStack) -> SamplerHandle:
    campaign.observer.say("starting the sensors")
    folder = campaign.workspace.campaigns / campaign.campaign_id
    told = {
        f"engine:{member.target.name}": member.opened.connection
        for member in campaign.members
        if member.opened is not None and member.target.kind != "api"
    }
    sampler = start_sampler(
        folder, campaign.anchor, campaign.request.scenario.telemetry, told, wait=False
    )
    open_things.callback(sampler.stop)
    for member in campaign.members:
        if member.opened is not None and member.opened.process_id is not None:
            sampler.watch(f"engine:{member.target.name}", member.opened.process_id)
    return sampler


def _load(campaign: Campaign) -> None:
    legs = [
        (stage, member)
        for number, stage in enumerate(campaign.plan.stages)
        for member in (campaign.members if number % 2 == 0 else campaign.members[::-1])
    ]
    for place, (stage, member) in enumerate(legs):
        if member.status != "running":
            continue
        campaign.legs_left_s = sum(
            later.warmup_s + later.steady_s
            for later, its in legs[place + 1 :]
            if its.status == "running"
        )
        result = _run_one(campaign, member, stage)
        member.ends.extend(result.ends)
        member.manifest = msgspec.structs.replace(
            member.manifest, stages=[*member.manifest.stages, result.times]
        )
        write_manifest(member.folder, member.manifest)
        if result.outcome == "interrupted":
            raise Interrupted(result.reason or "stopped")
        if result.outcome != "complete":
            member.over(result.outcome, result.reason)
            campaign.observer.say(f"{member.target.name}: {result.reason}")


def _run_one(campaign: Campaign, member: Member, stage: StagePlan) -> LegResult:
    opened = member.opened
    assert opened is not None
    scenario, plan = campaign.request.scenario, campaign.plan
    handoff = Handoff(
        run_id=member.manifest.run_id,
        target=member.target.name,
        anchor=campaign.anchor,
        connection=opened.connection,
        request=plan.request,
        stream=plan.stream,
        cache=plan.cache,
        seed=plan.seed,
        items=primers(plan.items) if stage.kind == "prime" else plan.items,
        stage=stage,
        journal=str(member.folder / "journal" / f"stage-{stage.index:02d}"),
        workers=1 if stage.kind == "prime" else scenario.processes,
        store_text=scenario.store_text,
        caps=caps_left(scenario.budget, member.prices, member.ends),
    )
    leg = Leg(
        handoff,
        member.folder / "logs" / f"locust-stage-{stage.index:02d}.log",
        campaign.workspace.loadtests,
    )
    sampler = campaign.sampler

    def started(process: int) -> None:
        if sampler is not None:
            sampler.watch("client", process)

    try:
        return run_leg(
            leg,
            stopping=lambda: campaign.stop.asked,
            failed=opened.alive,
            started=started,
            moment=lambda beats: campaign.observer.leg(
                leg_progress(
                    leg,
                    beats,
                    now=campaign.anchor.now(),
                    emulated=member.manifest.target.emulated,
                    stages=len(plan.stages),
                    later_s=campaign.legs_left_s,
                )
            ),
        )
    finally:
        if sampler is not None:
            sampler.unwatch("client")


def primers(items: list[PlanItem]) -> list[PlanItem]:
    """The items as priming asks them: the whole prompt, one token of answer."""
    return [
        msgspec.structs.replace(item, body={**item.body, "max_tokens": 1}, max_tokens=1)
        for item in items
    ]


def _finish(campaign: Campaign, member: Member) -> "FinishedRun":
    from observatory.runner.finish import finish_run  # brings scipy: not before the load

    campaign.observer.say(f"sealing {member.manifest.run_id}")
    sampler = campaign.sampler
    trouble = sampler.alive() if sampler is not None else None
    if trouble is not None:
        campaign.observer.say(f"{member.target.name}: telemetry is incomplete: {trouble}")
    manifest = msgspec.structs.replace(
        member.manifest,
        status=member.status,
        status_reason=member.reason,
        telemetry={**member.manifest.telemetry, "trouble": trouble},
    )
    samples = sampler.journal if sampler is not None else None
    return finish_run(campaign.workspace, member.folder, manifest, samples)


def _remove_campaign_folder(campaign: Campaign) -> None:
    """Its samples are in the sealed runs by now; the folder was only theirs while they ran."""
    folder = campaign.workspace.campaigns / campaign.campaign_id
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _exit_code(
    campaign: Campaign, runs: "list[FinishedRun]", error: ObservatoryError | None
) -> ExitCode:
    if error is not None:
        return error.exit_code
    statuses = {run.manifest.status for run in runs}
    if "interrupted" in statuses:
        return ExitCode.INTERRUPTED
    if "crashed" in statuses:
        return ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    if "budget_reached" in statuses:
        return ExitCode.BUDGET_REACHED
    invalid = any(run.manifest.verdict and run.manifest.verdict.level == "invalid" for run in runs)
    return ExitCode.RUN_INVALID if invalid else ExitCode.FINE


def _name(*parts: str) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return "-".join([moment, *parts, secrets.token_hex(2)])


def _without_targets(scenario: Scenario) -> dict[str, Any]:
    """The scenario for the manifest: targets stand in it as what they were opened as."""
    return scenario.model_dump(mode="json", exclude={"targets"})
