"""What keeps a plan from starting: the target's own limits, this host's, and what a process can carry.

All of it is looked at before anything is started. A fact refuses; an estimate warns, unless not even
sending would fit.
"""

from dataclasses import dataclass

from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.plan import Plan, StagePlan
from observatory.core.scenario import Scenario
from observatory.core.targets.catalogue import Target
from observatory.runner.checks import capacity
from observatory.runner.checks.stored_calibration import CalibratedHost, Calibration, doubts, is_of
from observatory.telemetry.machine.host_limits import HostLimits

OWN_FILES = 128
"""Descriptors that a process needs in addition to its connections: libraries, journals, timers, pipes. A
Locust worker was seen with about 40."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """open_files: descriptors that one process needs at the most; warnings: a sentence each."""

    open_files: int
    estimate: capacity.CapacityEstimate
    warnings: list[str]


def check_before_start(
    scenario: Scenario,
    plan: Plan,
    targets: list[Target],
    *,
    limits: HostLimits,
    host: CalibratedHost,
    calibration: Calibration | None,
    force: bool = False,
) -> Preflight:
    """Check whether this host can carry the plan; BadInput (exit 2), with the fix, where it cannot.

    force turns a refusal that rests on an estimate into a warning; ports and descriptors still refuse.
    """
    for target in targets:
        check_levels(scenario.with_policy(target), plan, scenario.processes)
    warnings: list[str] = []
    for stage in plan.stages:
        warnings += check_ports(stage, targets, limits)
        warnings += check_open_files(stage, targets, scenario.processes, limits)
    needed = max(
        (files_needed(stage, targets, scenario.processes) for stage in plan.stages),
        default=OWN_FILES,
    )
    ours = calibration is not None and is_of(calibration, host)
    basis = capacity.basis_of(calibration, is_ours=ours)
    guess = capacity.estimate(plan, scenario.processes, capacity.pace_of(scenario.slo), basis)
    warnings += check_cores(guess, limits, force=force)
    if calibration is not None and (warnings or not ours):
        found = doubts(calibration, host)
        warnings += [f"the stored calibration: {'; '.join(found)}"] if found else []
    return Preflight(needed, guess, warnings)


def check_levels(target: Target, plan: Plan, processes: int) -> None:
    """Raise BadInput where a stage exceeds what its target allows, or has a limit that cannot be shared.

    A typing error must not flood a gateway; every process keeps its share of a limit, and a share
    must not be nothing.
    """
    for number, stage in enumerate(plan.stages):
        if stage.priming:
            continue
        where = f"stages[{number}]"
        users, most = stage.concurrency, target.max_concurrency
        if users is not None and most is not None and users > most:
            raise _above(target, where, count_of(users, "user"), f"{most} (max_concurrency)")
        rate, fastest = stage.rate_per_s, target.max_rate
        if rate is not None and fastest is not None and rate > fastest:
            raise _above(target, where, f"{rate:g} /s", f"{fastest:g} (max_rate)")
        shared = {"max_concurrency": most}
        if stage.offsets_ns is not None:
            shared["max_in_flight"] = stage.max_in_flight
        if target.throttling is not None:
            shared["requests_per_minute"] = target.throttling.requests_per_minute
        for name, limit in shared.items():
            if limit is not None and limit < processes:
                raise BadInput(
                    f"{name} is {limit}, which {processes} processes cannot share",
                    where=where,
                    fix=f"set processes to {limit} or less, or raise {name}",
                )


def _above(target: Target, where: str, needed: str, allowed: str) -> BadInput:
    return BadInput(
        f"the stage needs {needed}; target {target.name} allows {allowed}",
        where=where,
        fix="lower the stage, or raise the target's limit on purpose",
    )


def check_ports(stage: StagePlan, targets: list[Target], limits: HostLimits) -> list[str]:
    """Check the ports: connections to one address take a local port each: more cannot be open at once."""
    wanted = _connections(stage, targets)
    if limits.ports is None or wanted <= limits.ports:
        return []
    problem = (
        f"{count_of(wanted, 'connection')} to one target, and {count_of(limits.ports, 'local port')} "
        f"({limits.port_range}, less those reserved)"
    )
    fix = "sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
    return _refuse_or_warn(stage, problem, f"{fix}, or use at most {limits.ports:,} at once")


def check_open_files(
    stage: StagePlan, targets: list[Target], processes: int, limits: HostLimits
) -> list[str]:
    """Check the descriptors: each connection is a descriptor; the soft limit is ours to raise, the hard one is not."""
    needed = files_needed(stage, targets, processes)
    if needed <= limits.open_files_hard:
        return []
    problem = (
        f"{count_of(_connections(stage, targets), 'connection')} from "
        f"{count_of(processes, 'process', 'processes')} need {needed:,} open files in one process, "
        f"and this shell allows {limits.open_files_hard:,}"
    )
    fix = f"ulimit -n {needed} (as root, or raise nofile in limits.conf)"
    room = max(1, limits.open_files_hard - OWN_FILES)
    return _refuse_or_warn(stage, problem, f"{fix}, or use at most {room:,} a process")


def files_needed(stage: StagePlan, targets: list[Target], processes: int) -> int:
    """Return the descriptors of the process that needs most: a worker's share, or a server of ours with all."""
    wanted = _connections(stage, targets)
    served = any(target.runs_here for target in targets)
    return (wanted if served else -(-wanted // processes)) + OWN_FILES


def _connections(stage: StagePlan, targets: list[Target]) -> int:
    """Return the most that any of the targets gets at once."""
    wanted = capacity.most_connections(stage)
    return max((min(wanted, target.max_concurrency or wanted) for target in targets), default=0)


def _refuse_or_warn(stage: StagePlan, problem: str, fix: str) -> list[str]:
    """Raise or warn: a closed loop opens them for certain; an open loop only where answers are slow."""
    if stage.offsets_ns is None:
        raise BadInput(problem, where=f"stages[{stage.index}]", fix=fix)
    return [f"stages[{stage.index}]: at max_in_flight, {problem} — {fix}, or lower max_in_flight"]


def check_cores(guess: capacity.CapacityEstimate, limits: HostLimits, *, force: bool) -> list[str]:
    """Return the plan's demand against the processes given, and these against the cores."""
    warnings = []
    given = guess.processes
    if given > limits.cores:
        warnings.append(
            f"{given} processes on {count_of(limits.cores, 'usable core')} will wait for each other"
        )
    if guess.cores > given:
        line = f"this plan needs {count_of(guess.cores, 'core')}, you gave {given}: {capacity.demand_line(guess)}"
        fix = f"pass --processes {guess.cores}"
        if guess.cores > limits.cores:
            fix = f"this machine has {limits.cores}: lower the load, or use a larger machine"
        if guess.measured_here and guess.least_cores > min(given, limits.cores) and not force:
            raise BadInput(line, fix=f"{fix}; or --force to see what comes of it")
        warnings.append(f"{line} — {fix}")
    return warnings
