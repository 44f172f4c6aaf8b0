"""What a machine can do as a load generator, as it was measured, and where that is kept.

One file in the workspace's results; room `calibration` measures it.
"""

import hashlib
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import Workspace
from observatory.store.files import disk_error, write_text
from observatory.telemetry.machine.environment import cpu_model
from observatory.telemetry.machine.host_limits import usable_cores

CALIBRATION_FORMAT = 1
FILE_NAME = "calibration.json"
OLD_DAYS = 30.0
"""After this a kernel or a neighbour is likely to be another: the file is still used, with a note."""
OTHERS_LIMIT = 0.10
"""Share of all cores beyond which other programs may be what was late: on two cores a fifth of one."""
_MACHINE_ID = Path("/etc/machine-id")

Bound = Literal["exact", "at_least", "none"]
"""exact: the next level was tried and not held. at_least: what stopped the search was not the client.
none: not even the lowest level that was tried was held."""


class CalibratedHost(msgspec.Struct, frozen=True):
    """Whose figures they are. machine: a hash of the machine's id, null where it has none."""

    machine: str | None
    cpu_model: str | None
    cores: int
    kernel: str
    python: str
    version: str


class LevelFigures(msgspec.Struct, frozen=True):
    """Figures of one level, over its window. cpu_s_* are of all client processes together.

    client_busy and server_busy are shares of a core, of the busiest process. lag_p99_s: how late
    requests left (null: too few). server_late: the share of events that it wrote late. others_busy:
    the share of all cores that other programs took meanwhile. Null: too few heartbeats for a figure.
    """

    requests_per_s: float | None
    events_per_s: float | None
    client_busy: float | None
    server_busy: float | None
    server_late: float
    others_busy: float
    shared_stamps: float
    lag_p99_s: float | None
    cpu_s_per_1000_requests: float | None
    cpu_s_per_1000_events: float | None
    worker_rss_bytes: int | None


class LoadCeiling(msgspec.Struct, frozen=True):
    """The highest level that held (null: none did), the lowest that did not, and what limited it."""

    level: float | None
    bound: Bound
    limited_by: str
    failed_at: float | None = None
    figures: LevelFigures | None = None


class Costs(msgspec.Struct, frozen=True):
    """CPU seconds of the load generator for a request without its events, and for an event alone."""

    request_cpu_s: float
    event_cpu_s: float


class Calibration(msgspec.Struct, frozen=True):
    """streams: concurrent answers, gap_s between events. burst: requests/s where every answer comes
    at once. rate: requests/s in open loop. apart: client and server had cores of their own."""

    format: int
    made_utc: str
    host: CalibratedHost
    quick: bool
    processes: int
    servers: int
    apart: bool
    gap_s: float
    streams: LoadCeiling
    burst: LoadCeiling
    rate: LoadCeiling
    costs: Costs | None = None


def this_host() -> CalibratedHost:
    """Return the machine that we are on."""
    try:
        machine = hashlib.sha256(_MACHINE_ID.read_bytes().strip()).hexdigest()[:16]
    except OSError:
        machine = None
    return CalibratedHost(
        machine=machine,
        cpu_model=cpu_model(),
        cores=usable_cores(),
        kernel=platform.release(),
        python=platform.python_version(),
        version=metadata.version("inference-observatory"),
    )


def is_of(calibration: Calibration, host: CalibratedHost) -> bool:
    """Return whether its figures are of this machine: same id, processor and number of cores."""
    its = calibration.host
    return (its.machine, its.cpu_model, its.cores) == (host.machine, host.cpu_model, host.cores)


def age_days(calibration: Calibration, now: datetime | None = None) -> float:
    """Return how old it is."""
    made = datetime.strptime(calibration.made_utc, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return max(0.0, ((now or datetime.now(UTC)) - made).total_seconds() / 86_400)


def doubts(
    calibration: Calibration, host: CalibratedHost, now: datetime | None = None
) -> list[str]:
    """Return why it may not hold for this machine as it is now; empty where nothing contradicts it."""
    its = calibration.host
    found = [] if is_of(calibration, host) else ["it was made on another machine"]
    for name, then, today in (
        ("kernel", its.kernel, host.kernel),
        ("Python", its.python, host.python),
        ("observatory", its.version, host.version),
    ):
        if then != today:
            found.append(f"made with {name} {then}, now {today}")
    ceilings = (calibration.streams, calibration.burst, calibration.rate)
    taken = max((c.figures.others_busy for c in ceilings if c.figures is not None), default=0.0)
    if taken > OTHERS_LIMIT:
        found.append(f"other programs took up to {taken:.0%} of the cores while it was made")
    days = age_days(calibration, now)
    if days > OLD_DAYS:
        found.append(f"it is {count_of(round(days), 'day')} old")
    return found


def calibration_path(workspace: Workspace) -> Path:
    """Return where it is kept."""
    return workspace.results / FILE_NAME


def save_calibration(workspace: Workspace, calibration: Calibration) -> Path:
    """Replace the stored one, atomically; answers its path."""
    path = calibration_path(workspace)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path.parent) from error
    text = msgspec.json.format(msgspec.json.encode(calibration), indent=2).decode()
    write_text(path, text + "\n")
    return path


def load_calibration(workspace: Workspace) -> Calibration | None:
    """Return the stored one; None where there is none.

    EnvironmentFailed where the file is damaged, BadInput where its format is another than ours.
    """
    path = calibration_path(workspace)
    fix = "measure again: observatory calibrate"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        number = msgspec.json.decode(data, type=_Numbered).format
        if number != CALIBRATION_FORMAT:
            raise BadInput(
                f"calibration format {number}; this version knows {CALIBRATION_FORMAT}",
                where=str(path),
                fix=fix,
            )
        return msgspec.json.decode(data, type=Calibration)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvironmentFailed(f"is damaged: {error}", where=str(path), fix=fix) from error


class _Numbered(msgspec.Struct):
    format: int
