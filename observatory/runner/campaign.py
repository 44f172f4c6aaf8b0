"""A campaign from its first line to its last: targets up, sensors on, stages interleaved, sealed.

Every target gets the same plan; stage by stage the order of the targets is turned round, so that
a drift of the machine does not favour one of them. The runs share one anchor.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observatory.core.clock import new_anchor
from observatory.core.errors import BadInput, ExitCode, Interrupted, ObservatoryError
from observatory.core.plan import Plan
from observatory.core.run import RunStatus
from observatory.core.workspace import Workspace
from observatory.economics.prices import prices_of
from observatory.endpoints.catalogue import check_inputs
from observatory.runner.calibration import load_calibration, this_host
from observatory.runner.idle import rest
from observatory.runner.interleaving import load
from observatory.runner.locks import target_lock
from observatory.runner.members import enlist, finish_member, open_member, unique_name
from observatory.runner.preflight import Preflight, check_before_start
from observatory.runner.progress import Observer
from observatory.runner.recovery import recover_crashed_runs
from observatory.runner.references import check_references
from observatory.runner.sensors import start_sensors
from observatory.runner.sitting import Campaign, Request, Sitting
from observatory.runner.spending import check_may_spend
from observatory.runner.stopping import Stop
from observatory.telemetry.host_limits import raise_open_files, read_host_limits
from observatory.telemetry.probe_addresses import probe_addresses
from observatory.telemetry.sampler_process import check_pages
from observatory.workload.planning import make_plan

if TYPE_CHECKING:
    from observatory.runner.finish import FinishedRun


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """What came of it, and the exit code that says so."""

    campaign_id: str
    runs: "list[FinishedRun]"
    exit_code: ExitCode
    error: ObservatoryError | None = None


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
    check_pages(request.scenario.telemetry)
    prices = [prices_of(target) for target in request.targets]
    for target, price in zip(request.targets, prices, strict=True):
        check_may_spend(target, request.scenario.budget, price)
        check_inputs(target)
    probe_addresses(request.scenario.telemetry)  # a token that is missing is said before the start
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
        name = unique_name(request.scenario.name)
        campaign = Campaign(workspace, request, observer, plan, name, stop, preflight)
        sitting = Sitting(campaign, new_anchor())
        for target, price in zip(request.targets, prices, strict=True):
            sitting.members.append(enlist(sitting, stack, target, price))
        error = _measure(sitting)
        runs = [finish_member(sitting, member) for member in sitting.members]
        _remove_campaign_folder(campaign)
    return CampaignResult(campaign.campaign_id, runs, _exit_code(runs, error), error)


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


def _measure(sitting: Sitting) -> ObservatoryError | None:
    """Open, load and close everything; answers the error that ended it early, if one did."""
    try:
        with ExitStack() as open_things:
            with sitting.campaign.stop.at_once():
                for member in sitting.members:
                    open_member(sitting, open_things, member)
                sitting.sampler = start_sensors(sitting, open_things)
                rest(sitting)
            load(sitting)
    except ObservatoryError as error:
        status: RunStatus = "interrupted" if isinstance(error, Interrupted) else "crashed"
        for member in sitting.members:
            member.over(status, str(error))
        return error
    for member in sitting.members:
        member.over("complete", None)
    return None


def _remove_campaign_folder(campaign: Campaign) -> None:
    """Its samples are in the sealed runs by now; the folder was only theirs while they ran."""
    if campaign.folder.is_dir():
        for path in campaign.folder.iterdir():
            path.unlink()
        campaign.folder.rmdir()


def _exit_code(runs: "list[FinishedRun]", error: ObservatoryError | None) -> ExitCode:
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
