"""A campaign from its first line to its last: targets up, sensors on, stages interleaved, sealed.

Every target gets the same plan. Without a matrix all targets are up at once, and stage by stage
their order is turned round, so that a drift of the machine does not favour one of them. The cells of
a matrix take turns in the order of its design; each execution has an anchor and sensors of its own.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from observatory.core.clock import new_anchor
from observatory.core.errors import (
    BadInput,
    EnvironmentFailed,
    ExitCode,
    Interrupted,
    ObservatoryError,
)
from observatory.core.matrices.design import Design
from observatory.core.plan import Plan
from observatory.core.system.private_folders import sweep_private_folders
from observatory.core.workspace import Workspace
from observatory.economics.prices import prices_of
from observatory.endpoints.catalogue import check_inputs, computes_on_gpus
from observatory.inputs.price_files import agreed_prices
from observatory.processes.lost_engines import end_lost_engines
from observatory.runner import matrix_schedule
from observatory.runner.campaign_execution import (
    Campaign,
    CampaignExecution,
    CampaignMember,
    RunRequest,
)
from observatory.runner.campaign_pace import CampaignPace
from observatory.runner.checks import gpu_claims
from observatory.runner.checks.askable import check_askable
from observatory.runner.checks.preflight import Preflight, check_before_start
from observatory.runner.checks.references import check_references
from observatory.runner.checks.stored_calibration import load_calibration, this_host
from observatory.runner.checks.target_names import address_notes, check_names
from observatory.runner.finished_run import FinishedRun
from observatory.runner.idle import rest
from observatory.runner.interleaving import load
from observatory.runner.locks import lock_name, target_lock
from observatory.runner.members import enlist, finish_member, open_member, unique_name
from observatory.runner.progress import Observer
from observatory.runner.quoting import CampaignQuote, quote_request
from observatory.runner.recovery import recover_crashed_runs
from observatory.runner.repeated import count_repeated
from observatory.runner.sensors import start_sensors
from observatory.runner.spending import check_may_spend
from observatory.runner.stopping import Stop
from observatory.store.folder.campaigns import CAMPAIGN_NAME
from observatory.store.folder.run_lock import LOCK_NAME, hold_lock
from observatory.telemetry.machine.gpu_inventory import read_gpus
from observatory.telemetry.machine.host_limits import raise_open_files, read_host_limits
from observatory.telemetry.remote.probe_addresses import probe_addresses
from observatory.telemetry.sampler_process import check_pages
from observatory.workload.planning import make_plan


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """The result of a campaign, and the exit code that reports it.

    runs: all of the campaign's, those before an interruption included. unfinished: cells of a matrix
    that are still to be measured. asked: the scenario as it was typed.
    """

    campaign_id: str
    runs: list[FinishedRun]
    exit_code: ExitCode
    error: ObservatoryError | None = None
    design: Design | None = None
    unfinished: int = 0
    scenario_argument: str = ""


def run_campaign(
    workspace: Workspace,
    request: RunRequest,
    observer: Observer,
    agree: Callable[[CampaignQuote], None] = lambda quotes: None,
) -> CampaignResult:
    """Run the scenario on every target and return the result.

    agree gets the expected cost before anything starts, and raises where the campaign must not start.

    Raises BadInput before anything starts where the request cannot be run; what happens after
    the run folders exist is recorded in them and in the result's exit code.
    """
    sweep_private_folders()  # prompts and answers that a killed run left
    for line in end_lost_engines():  # or what they hold (a port, a GPU) would be refused below
        observer.report(line)
    plan = _check(workspace, request, observer)
    preflight = look_before_start(workspace, request, plan)
    for line in address_notes(workspace, request):
        observer.report(line)
    for line in preflight.warnings:
        observer.report(f"warning: {line}")
    quotes = quote_request(workspace, request, plan)
    agree(quotes)
    raise_open_files(preflight.open_files)
    with ExitStack() as stack:
        locks = {
            name: stack.enter_context(target_lock(workspace.results, target, observer.report))
            for name, target in {lock_name(target): target for target in request.targets}.items()
        }
        for line in recover_crashed_runs(workspace):
            observer.report(line)
        stop = stack.enter_context(Stop().listening())
        name = request.resume.campaign_id if request.resume else unique_name(request.scenario.name)
        campaign = Campaign(
            workspace, request, observer, plan, name, stop, preflight, quotes.quotes, locks
        )
        campaign_log = _campaign_log(campaign, stack)
        runs = _earlier(campaign, campaign_log)
        done, error = _take_turns(campaign, campaign_log)
        runs += done
        due = campaign_log.schedule() if campaign_log is not None else []
        left = sum(len(scheduled.cells) for scheduled in due)
        if not left and campaign.folder.is_dir():
            shutil.rmtree(campaign.folder)  # what it held is in the sealed runs by now
    if (
        stop.requested
        and error is None
        and all(run.manifest.status != "interrupted" for run in runs)
    ):
        error = Interrupted("stopped when the load was over; what was measured is sealed")
    code = _exit_code(runs, error)
    return CampaignResult(name, runs, code, error, request.design, left, request.scenario_argument)


def _check(workspace: Workspace, request: RunRequest, observer: Observer) -> Plan:
    """Make the plan. BadInput, before the first target starts, for anything that is wrong with any of them."""
    if not request.targets:
        raise BadInput(
            f"scenario {request.scenario.name} names no target",
            fix="add targets: to it, or pass --target NAME or --url URL --model NAME",
        )
    check_names(request)
    plan = make_plan(
        request.scenario, request.folder, lambda text: observer.report(f"note: {text}")
    )
    check_references(plan)
    check_pages(request.scenario.telemetry)
    agreed = agreed_prices(workspace)
    for target in request.targets:
        prices = prices_of(target, agreed=agreed)
        check_may_spend(target, request.scenario.budget, prices, plan.items)
    for target in request.targets:
        check_askable(plan, target, check_inputs(target))
    probe_addresses(request.scenario.telemetry)  # a missing token is reported before the start
    return plan


def _campaign_log(campaign: Campaign, stack: ExitStack) -> matrix_schedule.CampaignLog | None:
    """Return a matrix' campaign log, begun or taken up again, its folder locked; None without a matrix."""
    request = campaign.request
    if request.design is None:
        return None
    scenario, plan, design = request.scenario, campaign.plan, request.design
    if request.resume is not None:
        stack.enter_context(hold_lock(campaign.folder))
        campaign_log = matrix_schedule.resumed(
            campaign.workspace, request.resume, scenario, plan, design
        )
        left = sum(len(scheduled.cells) for scheduled in campaign_log.schedule())
        total = sum(len(turn.cells) for turn in design.turns)
        campaign.observer.report(f"campaign {campaign.campaign_id} goes on: {left} of {total} left")
        return campaign_log
    campaign_log = matrix_schedule.new_campaign_log(
        campaign.workspace, campaign.campaign_id, scenario, plan, design,
        request.scenario_argument or scenario.name, request.options,
    )  # fmt: skip
    stack.enter_context(hold_lock(campaign.folder))
    return campaign_log


def _earlier(
    campaign: Campaign, campaign_log: matrix_schedule.CampaignLog | None
) -> list[FinishedRun]:
    """Return the runs that a resumed campaign has already, each cell's last one of a block."""
    if campaign_log is None or not campaign_log.file.runs:
        return []
    from observatory.runner.finish import reread

    left = {
        (scheduled.turn, cell) for scheduled in campaign_log.schedule() for cell in scheduled.cells
    }
    kept = {
        (run.turn, run.cell): run
        for run in campaign_log.file.runs
        if (run.turn, run.cell) not in left
    }
    return [reread(campaign.workspace.runs / run.run_id) for run in kept.values()]


def _take_turns(
    campaign: Campaign, campaign_log: matrix_schedule.CampaignLog | None
) -> tuple[list[FinishedRun], ObservatoryError | None]:
    """Return every execution that is due, one after another; a failed one does not end a matrix."""
    schedule = (
        campaign_log.schedule()
        if campaign_log is not None
        else matrix_schedule.one_turn(campaign.request.cells)
    )
    runs: list[FinishedRun] = []
    clock = CampaignPace(campaign.plan, schedule)
    for number, scheduled in enumerate(schedule):
        if campaign.stop.requested:
            return runs, Interrupted("stopped between two cells")
        execution = CampaignExecution(
            campaign, new_anchor(), scheduled, _place(campaign, scheduled), clock.later_s(number)
        )
        done, error = _sit(execution, campaign_log)
        runs += done
        clock.sat(number)
        if error is not None and (campaign_log is None or isinstance(error, Interrupted)):
            return runs, error
        if error is not None:
            campaign.observer.report(f"failed, and kept as such: {error}")
    return runs, None


def _place(campaign: Campaign, scheduled: matrix_schedule.ScheduledCell) -> str:
    design = campaign.request.design
    if design is None or scheduled.turn is None or scheduled.block is None:
        return ""
    what = "all cells"
    if not design.together:
        turns = [turn for turn in design.turns if turn.block == scheduled.block]
        what = f"cell {turns.index(design.turns[scheduled.turn]) + 1} of {len(turns)}"
    return f"block {scheduled.block + 1} of {design.repeats}, {what}"


def _sit(
    execution: CampaignExecution, campaign_log: matrix_schedule.CampaignLog | None
) -> tuple[list[FinishedRun], ObservatoryError | None]:
    """Return one execution from its run folders to its sealed runs."""
    campaign, scheduled = execution.campaign, execution.scheduled
    if execution.place:
        names = ", ".join(campaign.request.cells[cell].target.name for cell in scheduled.cells)
        campaign.observer.report(f"{execution.place}: {names}")
    with ExitStack() as stack:
        for place in scheduled.cells:
            member = enlist(execution, stack, campaign.request.cells[place])
            execution.members.append(member)
            if campaign_log is not None and scheduled.turn is not None:
                count_repeated(execution, member, campaign_log.repeated(scheduled.turn, place))
                campaign_log.begun(scheduled.turn, place, member.manifest.run_id)
        error = _measure(execution)
        runs, failure = _finish(execution, campaign_log)
        if failure is None:
            clear_samples(campaign)
    return runs, failure or error


def _finish(
    execution: CampaignExecution, campaign_log: matrix_schedule.CampaignLog | None
) -> tuple[list[FinishedRun], ObservatoryError | None]:
    """Seal each run; one that cannot be sealed keeps none of the others from it."""
    runs: list[FinishedRun] = []
    failure: ObservatoryError | None = None
    for member in execution.members:
        try:
            finished = finish_member(execution, member)
        except ObservatoryError as error:
            failure = EnvironmentFailed(
                f"{member.manifest.run_id} could not be finished ({error.what})",
                where=error.where,
                fix=f"{error.fix or 'mend that'}; what was recorded is kept in its folder, and "
                "`observatory rebuild` seals and judges it then",
            )
            if len(execution.members) > 1:
                execution.campaign.observer.report(str(failure))
            continue
        runs.append(finished)
        if campaign_log is not None:
            campaign_log.ended(finished.manifest)
    return runs, failure


def look_before_start(workspace: Workspace, request: RunRequest, plan: Plan) -> Preflight:
    """Check whether this host can carry the plan, by its limits and its stored calibration; starts nothing."""
    _check_claims(request)
    return check_before_start(
        request.scenario,
        plan,
        request.targets,
        limits=read_host_limits(),
        host=this_host(),
        calibration=load_calibration(workspace),
        force=request.force,
    )


def _check_claims(request: RunRequest) -> None:
    """Check that GPUs and ports are there, free, and not wanted by two that are up together."""
    started = [target for target in request.targets if target.runs_here]
    if request.design is None or request.design.together:
        gpu_claims.check_ports_apart(started)
    computing = [target for target in started if computes_on_gpus(target)]
    if not computing:
        return
    gpus, visible = read_gpus() or [], os.environ.get(gpu_claims.VISIBLE)
    for target in computing:
        gpu_claims.check_free(target, gpus, visible)
    if request.design is None or request.design.together:
        gpu_claims.check_together(computing, gpus, visible)


def _measure(execution: CampaignExecution) -> ObservatoryError | None:
    """Open, load and close everything; answers the error that ended it early, if one did."""
    try:
        with ExitStack() as open_things:
            with execution.campaign.stop.at_once():
                for member in execution.members:
                    _open(execution, open_things, member)
                if all(member.status != "running" for member in execution.members):
                    return None
                execution.sampler = start_sensors(execution, open_things)
                rest(execution)
            load(execution)
    except ObservatoryError as error:
        _end_all(execution, error)
        return error
    for member in execution.members:
        member.over("complete", None)
    return None


def _end_all(execution: CampaignExecution, error: ObservatoryError) -> None:
    """End each run with its own reason: that of the failed target for its run alone.

    An interruption and a failure of this machine are the reason of all.
    """
    if isinstance(error, Interrupted):
        for member in execution.members:
            member.over("interrupted", str(error))
        return
    failed = next((member for member in execution.members if member.error is error), None)
    for member in execution.members:
        if failed is None or member is failed:
            member.over("crashed", str(error))
        else:
            started = "stopped" if member.manifest.stages else "not run"
            member.over("crashed", f"{started}, because {failed.target.name} failed")


def _open(execution: CampaignExecution, open_things: ExitStack, member: CampaignMember) -> None:
    """Open it; in a matrix a cell that does not come up is over, and the others go on."""
    try:
        open_member(execution, open_things, member)
    except ObservatoryError as error:
        member.error = error
        alone = len(execution.members) == 1
        if execution.campaign.request.design is None or alone or isinstance(error, Interrupted):
            raise
        member.over("crashed", str(error))
        execution.campaign.observer.report(f"{member.target.name}: {error}")


def clear_samples(campaign: Campaign) -> None:
    """Remove the samples of this execution, which are in its sealed runs; the next one starts with none."""
    for path in campaign.folder.glob("*"):
        if path.name not in (CAMPAIGN_NAME, LOCK_NAME):
            path.unlink()


def _exit_code(runs: list[FinishedRun], error: ObservatoryError | None) -> ExitCode:
    if error is not None:
        return error.exit_code
    if any(run.ingested.failed for run in runs):
        return ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    statuses = {run.manifest.status for run in runs}
    if "interrupted" in statuses:
        return ExitCode.INTERRUPTED
    if "crashed" in statuses:
        return ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    if "budget_reached" in statuses:
        return ExitCode.BUDGET_REACHED
    invalid = any(run.manifest.verdict and run.manifest.verdict.level == "invalid" for run in runs)
    return ExitCode.RUN_INVALID if invalid else ExitCode.FINE
