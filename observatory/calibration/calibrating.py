"""Measure this machine's own ceiling as a load generator: streams, requests, rate.

Client and server get cores of their own where there are two or more. Three searches, bounded in
trials; each result names what limited it.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from observatory.calibration.ceiling import Trial, find_ceiling
from observatory.calibration.replay import BUSY_LIMIT, ReplayShape, Servers, open_servers
from observatory.calibration.trial import Bench, closed, open_loop, run_trial
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.scenario import Scenario
from observatory.core.system.private_folders import private_folder, sweep_private_folders
from observatory.core.units import human_number, human_seconds
from observatory.core.workspace import Workspace
from observatory.runner.checks.preflight import OWN_FILES
from observatory.runner.checks.stored_calibration import (
    CALIBRATION_FORMAT,
    Calibration,
    Costs,
    LevelFigures,
    LoadCeiling,
    this_host,
)
from observatory.runner.stopping import Stop
from observatory.telemetry.machine.host_limits import raise_open_files, read_host_limits

GAP_S = 0.01
FIRST_S = 0.1
"""The server's first token is due after 100 ms: a client may lag by 2 % of it."""
STREAM_TOKENS = 64
BURST = ReplayShape(tokens=128, first_s=0.0, gap_s=0.0)
BURST_USERS = 64
RATE = ReplayShape(tokens=8, first_s=FIRST_S, gap_s=0.005)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a calibration may take: trials of each search, and the parts of a trial."""

    streams: int
    rate: int
    warmup_s: float
    steady_s: float
    retry: bool


QUICK = Effort(streams=3, rate=2, warmup_s=1.0, steady_s=2.2, retry=False)
THOROUGH = Effort(streams=6, rate=5, warmup_s=1.5, steady_s=4.2, retry=True)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cores the client and the server run on; empty where they must share."""

    client: list[int]
    servers: list[int]
    server_count: int

    @property
    def apart(self) -> bool:
        """Return whether neither takes processor time from the other."""
        return bool(self.servers)


def layout(cores: list[int], processes: int) -> Layout:
    """Return the client's processes on the first cores, a server on each of the others, at most as many.

    With no core left for a server no process is pinned.
    """
    left = cores[processes:]
    if not left:
        return Layout([], [], 1)
    count = min(len(left), processes)
    return Layout(cores[:processes], left[-count:], count)


def calibrate(
    workspace: Workspace,
    *,
    quick: bool,
    processes: int,
    gap_s: float = GAP_S,
    report: Callable[[str], None],
) -> Calibration:
    """Measure; nothing is stored. Interrupted where the person stops it, BadInput for `processes`
    that the machine has no cores for."""
    linux = sys.platform == "linux"
    cores = sorted(os.sched_getaffinity(0)) if linux else list(range(os.cpu_count() or 1))
    if processes > len(cores):
        raise BadInput(
            f"{processes} processes on {count_of(len(cores), 'usable core')} would measure each other",
            where="--processes",
            fix=f"give at most {len(cores)}",
        )
    place = layout(cores, processes)
    if not place.apart:
        report("client and server share their cores: every figure is a lower bound")
    effort = QUICK if quick else THOROUGH
    sweep_private_folders()
    with private_folder("calibration") as folder, Stop().listening() as stop:
        bench = Bench(
            folder=folder,
            loadtests=workspace.loadtests,
            processes=processes,
            client_cores=place.client,
            stopping=lambda: stop.requested,
            warmup_s=effort.warmup_s,
            steady_s=effort.steady_s,
        )
        return _measure(bench, place, effort, quick, gap_s, report)


def _measure(
    bench: Bench,
    place: Layout,
    effort: Effort,
    quick: bool,
    gap_s: float,
    report: Callable[[str], None],
) -> Calibration:
    most = _most_streams(bench.processes)
    shape = ReplayShape(STREAM_TOKENS, FIRST_S, gap_s)
    retry = effort.retry
    with open_servers(bench.folder / "streams", shape, place.servers, place.server_count) as one:
        streams = find_ceiling(
            _printed_trial(
                "streams", lambda level: closed(shape, level, bench), bench, one, report
            ),
            start=min(256 * bench.processes, most),
            most=most,
            trials=effort.streams,
            retry=retry,
        )
    with open_servers(bench.folder / "burst", BURST, place.servers, place.server_count) as one:
        users = BURST_USERS * bench.processes
        trial = run_trial(bench, closed(BURST, users, bench), one, users)
        report(f"{count_of(users, 'user')}, answers at once{_brief(trial.figures)}")
        burst = burst_ceiling(trial)
    with open_servers(bench.folder / "rate", RATE, place.servers, place.server_count) as one:
        rate = find_ceiling(
            _printed_trial(
                "requests/s", lambda level: open_loop(RATE, level, bench), bench, one, report
            ),
            start=500 * bench.processes,
            most=most * 5,
            trials=effort.rate,
            retry=retry,
        )
    ceilings = [streams, burst, rate] if place.apart else [*map(_shared, (streams, burst, rate))]
    return Calibration(
        format=CALIBRATION_FORMAT,
        made_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        host=this_host(),
        quick=quick,
        processes=bench.processes,
        servers=place.server_count,
        apart=place.apart,
        gap_s=gap_s,
        streams=ceilings[0],
        burst=ceilings[1],
        rate=ceilings[2],
        costs=costs_of(streams, rate, STREAM_TOKENS, RATE.tokens),
    )


def _printed_trial(
    what: str,
    scenario: Callable[[int], Scenario],
    bench: Bench,
    servers: Servers,
    report: Callable[[str], None],
) -> Callable[[int], Trial]:
    """Return a trial that prints its result."""

    def measure(level: int) -> Trial:
        trial = run_trial(bench, scenario(level), servers, level)
        how = "held" if trial.held else f"not held: {trial.why}"
        report(f"{level:,} {what}: {how}{_brief(trial.figures)}")
        return trial

    return measure


def _brief(figures: LevelFigures | None) -> str:
    if figures is None:
        return ""
    lag = f", lag p99 {human_seconds(figures.lag_p99_s)}" if figures.lag_p99_s is not None else ""
    return (
        f" ({human_number(figures.requests_per_s)} requests/s, "
        f"{human_number(figures.events_per_s)} events/s, client {human_share(figures.client_busy)}, "
        f"server {human_share(figures.server_busy)}{lag})"
    )


def human_share(share: float | None) -> str:
    """Return a share for reading; a dash where it is not known."""
    return "–" if share is None else f"{share:.0%}"


def burst_ceiling(trial: Trial) -> LoadCeiling:
    """Measure the ceiling of a burst: users who never wait drive the client to its end, or the server to its own."""
    figures = trial.figures
    if figures is None or not figures.requests_per_s:
        return LoadCeiling(None, "none", trial.reason or "nothing was answered", trial.level)
    level = figures.requests_per_s
    client, server = figures.client_busy or 0.0, figures.server_busy or 0.0
    if client > BUSY_LIMIT:
        why = f"the client's core, busy {client:.0%}"
        return LoadCeiling(level, "exact", why, None, figures)
    if server > BUSY_LIMIT:
        why = f"server-bound: its server was busy {server:.0%} of the time"
    else:
        why = f"neither was busy; other programs took {figures.others_busy:.0%} of the cores"
    return LoadCeiling(level, "at_least", why, None, figures)


def _shared(ceiling: LoadCeiling) -> LoadCeiling:
    """Return the ceiling as a lower bound, because client and server shared their cores."""
    if ceiling.bound != "exact":
        return ceiling
    why = f"client and server share their cores; {ceiling.limited_by}"
    return LoadCeiling(ceiling.level, "at_least", why, ceiling.failed_at, ceiling.figures)


def costs_of(
    streams: LoadCeiling, rate: LoadCeiling, long_tokens: int, short_tokens: int
) -> Costs | None:
    """Return the cost of a request and of an event, from the levels that were held; None where one was not.

    cpu per request = request + tokens x event, in two mixes: two lines, two unknowns. Noise can put
    one of them below zero; it is then zero, and the other takes all of the longer mix.
    """
    if streams.level is None or streams.figures is None:
        return None
    if rate.level is None or rate.figures is None:
        return None
    long, short = streams.figures.cpu_s_per_1000_requests, rate.figures.cpu_s_per_1000_requests
    if long is None or short is None:
        return None
    of_long, of_short = long / 1e3, short / 1e3
    event = (of_long - of_short) / (long_tokens - short_tokens)
    request = of_short - short_tokens * event
    if request < 0:
        return Costs(0.0, of_long / long_tokens)
    if event < 0:
        return Costs(of_long, 0.0)
    return Costs(request, event)


def _most_streams(processes: int) -> int:
    """Return the most streams that ports and descriptors allow; raise the soft limit of descriptors to that."""
    limits = read_host_limits()
    most = min(
        limits.ports or 20_000,
        limits.open_files_hard - OWN_FILES,  # a server may get all connections
        20_000 * processes,
    )
    raise_open_files(most + OWN_FILES)
    return max(1, most)
