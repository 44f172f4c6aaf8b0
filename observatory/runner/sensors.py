"""Which sensors watch a sitting: its sampler told of the targets, their processes and addresses."""

from contextlib import ExitStack

from observatory.core.connection import Connection
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.catalogue import Target
from observatory.core.targets.identity import BESIDE_API
from observatory.core.targets.url import UrlTarget
from observatory.core.targets.vllm import VllmTarget
from observatory.runner.sitting import Sitting
from observatory.telemetry.instructions import SERVER_ROLE, SERVER_UNKNOWN
from observatory.telemetry.machine.listening import listeners
from observatory.telemetry.sampler_process import SamplerHandle, start_sampler


def start_sensors(sitting: Sitting, open_things: ExitStack) -> SamplerHandle:
    """Start the sampler on the opened members; it stops when `open_things` closes."""
    campaign = sitting.campaign
    campaign.observer.say("starting the sensors")
    told = {
        f"engine:{member.target.name}": member.opened.connection
        for member in sitting.members
        if member.opened is not None and metrics_url(member.target) is not None
    }
    pages = {
        f"engine:{member.target.name}": url
        for member in sitting.members
        if (url := metrics_url(member.target)) not in (None, BESIDE_API)
    }
    sampler = start_sampler(
        campaign.folder,
        sitting.anchor,
        campaign.request.scenario.telemetry,
        told,
        engine_pages=pages,
        wait=False,
    )
    open_things.callback(sampler.stop)
    for member in sitting.members:
        if member.opened is None:
            continue
        if member.opened.process_id is not None:
            sampler.watch(f"engine:{member.target.name}", member.opened.process_id)
        elif isinstance(member.target, UrlTarget):
            _watch_server(sampler, member.target.name, member.opened.connection)
    return sampler


def _watch_server(sampler: SamplerHandle, name: str, connection: Connection) -> None:
    """Have the server of an address of this host counted as the target's work and not as other work."""
    pids = listeners(connection.host, connection.port)
    for place, pid in enumerate([SERVER_UNKNOWN] if pids is None else pids):
        sampler.watch(f"{SERVER_ROLE}{name}:{place}", pid)


def metrics_url(target: Target) -> str | None:
    """Where the target's engine tells of itself; None where it is not to be asked, as a provider is not."""
    if isinstance(target, UrlTarget | VllmTarget):
        return target.metrics_url
    return None if isinstance(target, ApiTarget) else BESIDE_API
