"""Which sensors watch a sitting: its sampler told of the targets, their processes and addresses."""

from contextlib import ExitStack

from observatory.runner.sitting import Sitting
from observatory.telemetry.sampler_process import SamplerHandle, start_sampler


def start_sensors(sitting: Sitting, open_things: ExitStack) -> SamplerHandle:
    """Start the sampler on the opened members; it stops when `open_things` closes."""
    campaign = sitting.campaign
    campaign.observer.say("starting the sensors")
    told = {
        f"engine:{member.target.name}": member.opened.connection
        for member in sitting.members
        if member.opened is not None and member.target.kind != "api"
    }
    sampler = start_sampler(
        campaign.folder, sitting.anchor, campaign.request.scenario.telemetry, told, wait=False
    )
    open_things.callback(sampler.stop)
    for member in sitting.members:
        if member.opened is not None and member.opened.process_id is not None:
            sampler.watch(f"engine:{member.target.name}", member.opened.process_id)
    return sampler
