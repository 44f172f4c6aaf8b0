"""Which sensors watch an execution: its sampler gets the targets, their processes and addresses."""

from contextlib import ExitStack

from observatory.core.targets.identity import BESIDE_API
from observatory.runner.campaign_execution import CampaignExecution
from observatory.telemetry.instructions import SERVER_ROLE, SERVER_UNKNOWN
from observatory.telemetry.machine.listening import listeners
from observatory.telemetry.sampler_process import SamplerHandle, start_sampler


def start_sensors(execution: CampaignExecution, open_things: ExitStack) -> SamplerHandle:
    """Start the sampler on the opened members; it stops when `open_things` closes."""
    campaign = execution.campaign
    campaign.observer.report("starting the sensors")
    settings = {
        f"engine:{member.target.name}": member.opened.connection
        for member in execution.members
        if member.opened is not None and member.target.engine_page is not None
    }
    pages = {
        f"engine:{member.target.name}": url
        for member in execution.members
        if (url := member.target.engine_page) not in (None, BESIDE_API)
    }
    aliases = {
        f"engine:{member.target.name}": member.target.metric_aliases for member in execution.members
    }
    sampler = start_sampler(
        campaign.folder,
        execution.anchor,
        campaign.request.scenario.telemetry,
        settings,
        engine_pages=pages,
        engine_aliases=aliases,
        wait=False,
    )
    open_things.callback(sampler.stop)
    for member in execution.members:
        if member.opened is None:
            continue
        if member.opened.process_id is not None:
            sampler.watch(f"engine:{member.target.name}", member.opened.process_id)
        elif member.target.foreign_server:
            # The server of an address of this host: the target's work, and not other work.
            pids = listeners(member.opened.connection.host, member.opened.connection.port)
            for place, pid in enumerate([SERVER_UNKNOWN] if pids is None else pids):
                sampler.watch(f"{SERVER_ROLE}{member.target.name}:{place}", pid)
    return sampler
