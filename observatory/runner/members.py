"""A run of a campaign at its two ends: its folder made and its target opened, and sealed at last."""

import secrets
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec

from observatory.core.errors import BadInput
from observatory.core.matrices.design import Cell
from observatory.core.plan import plan_sha256
from observatory.core.run import MANIFEST_FORMAT, Manifest, TargetFacts
from observatory.core.scenario import Scenario
from observatory.core.targets.catalogue import Target
from observatory.economics.prices import prices_of
from observatory.endpoints.catalogue import check_inputs, masker_for, open_target, requested_facts
from observatory.endpoints.opened import OpenContext
from observatory.inputs.price_files import agreed_prices
from observatory.runner import masked_logs
from observatory.runner.campaign_execution import CampaignExecution, CampaignMember
from observatory.runner.checks.gpu_claims import named_gpus
from observatory.runner.finished_run import FinishedRun
from observatory.store.folder.manifest import create_run, write_manifest
from observatory.store.folder.run_lock import hold_lock
from observatory.store.folder.target_addresses import address_hash, elsewhere
from observatory.telemetry.machine.environment import describe_environment, software_versions
from observatory.telemetry.machine.gpu_inventory import read_gpus


def enlist(execution: CampaignExecution, stack: ExitStack, cell: Cell) -> CampaignMember:
    """Make the run's folder and hold its lock until `stack` closes."""
    campaign = execution.campaign
    scenario, design = campaign.request.scenario, campaign.request.design
    target = scenario.with_policy(cell.target)
    prices = prices_of(target, agreed=agreed_prices(campaign.workspace))
    facts = TargetFacts(
        name=target.name,
        kind=target.kind,
        hosting=target.hosting,
        weights=target.weights,
        billing=target.billing,
        emulated=target.emulated,
        price=prices.to_dict(),
        cost_basis=prices.basis,
        throttling=(target.throttling or scenario.throttling).policy,
        **requested_facts(target),
    )
    if facts.endpoint:  # None for one that is started here
        found_at = address_hash(campaign.workspace, facts.endpoint)
        facts = msgspec.structs.replace(facts, address_hash=found_at)
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        run_id=unique_name(scenario.name, target.name),
        campaign_id=campaign.campaign_id,
        scenario_name=scenario.name,
        scenario=shown_scenario(scenario),
        seed=scenario.seed,
        target=facts,
        comparison_key=campaign.plan.comparison_key,
        comparison_fields={
            **scenario.comparison_fields(),
            "items_sha256": campaign.plan.items_sha256,
        },
        plan_sha256=plan_sha256(campaign.plan),
        anchor=execution.anchor,
        created_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        status="running",
        stages=[],
        environment=describe_environment(campaign.workspace.root),
        software=software_versions(),
        label=campaign.request.label,
        publish=campaign.request.publish,
        store_text=scenario.store_text,
        telemetry=_shown_telemetry(scenario),
        capacity=campaign.preflight.estimate.to_dict(),
        factors=cell.factors,
        block=execution.scheduled.block,
        cell=cell.place if design is not None else None,
        turn=execution.scheduled.turn,
        quote=one.to_dict() if (one := campaign.quotes.get(cell.place)) is not None else None,
        other_address_in=elsewhere(campaign.workspace, target.name, facts.address_hash)
        if facts.address_hash is not None
        else None,
        confounded=list(design.confounded) if design is not None else [],
    )
    folder = create_run(campaign.workspace, manifest)
    stack.enter_context(hold_lock(folder))
    return CampaignMember(target, prices, folder, manifest)


def open_member(
    execution: CampaignExecution, open_things: ExitStack, member: CampaignMember
) -> None:
    """Bring its target up and record its facts; it goes down when `open_things` closes."""
    masker = masker_for(member.target, check_inputs(member.target))
    masked_logs.note_secrets(
        execution.campaign.workspace, member.manifest.campaign_id, member.folder.name, masker
    )
    context = OpenContext(
        log_folder=member.folder / masked_logs.LOG_FOLDER, report=execution.campaign.observer.report
    )
    opened = open_things.enter_context(open_target(member.target, context))
    if not member.target.runs_here:
        from observatory.endpoints.check import check_target

        check_target(opened, execution.campaign.plan.request)
    member.opened = opened
    facts = msgspec.structs.replace(
        opened.facts,
        price=member.prices.to_dict(),
        cost_basis=member.prices.basis,
        address_hash=member.manifest.target.address_hash,
        settings=opened.facts.settings
        | assigned_gpus(member.target, on_this_host=opened.facts.on_this_host),
    )
    member.manifest = msgspec.structs.replace(member.manifest, target=facts)
    write_manifest(member.folder, member.manifest)


def assigned_gpus(target: Target, *, on_this_host: bool = True) -> dict[str, Any]:
    """Return the GPUs that it names, a UUID too, as the sensors call them; also of an engine that is found by its
    url. Of a slice (MIG) nothing: it has no meter of its own, and what its GPU draws is not all the
    target's."""
    use = target.gpu_use
    if use is None or not use.named or not on_this_host:
        return {}
    try:
        named = named_gpus(target, read_gpus() or [])
    except BadInput:  # no driver answers here, and the engine came up nevertheless
        named = []
    devices = [gpu.name for gpu in named if "/" not in gpu.name]
    return {"gpus": use.named, "gpu_devices": devices}


def finish_member(execution: CampaignExecution, member: CampaignMember) -> FinishedRun:
    """Seal, judge and ingest the run, however it ended."""
    from observatory.runner.finish import finish_run  # brings scipy: not before the load

    campaign, sampler = execution.campaign, execution.sampler
    campaign.observer.report(f"sealing {member.manifest.run_id}")
    trouble = sampler.alive() if sampler is not None else None
    if member.opened is not None:
        masked_logs.mask_logs(member.folder / masked_logs.LOG_FOLDER, member.opened.masker)
        masked_logs.forget_secrets(
            campaign.workspace, member.manifest.campaign_id, member.folder.name
        )
        trouble = member.opened.masker.exact(trouble) if trouble is not None else None
    else:  # it did not come up, and its log may have the reason, with a key
        masked_logs.mask_logs_of_the_dead(
            campaign.workspace, member.manifest.campaign_id, member.folder
        )
    if trouble is not None:
        campaign.observer.report(f"{member.target.name}: telemetry is incomplete: {trouble}")
    manifest = msgspec.structs.replace(
        member.manifest,
        status=member.status,
        status_reason=member.reason,
        telemetry={**member.manifest.telemetry, "trouble": trouble},
    )
    samples = sampler.journal if sampler is not None else None
    return finish_run(campaign.workspace, member.folder, manifest, samples)


def unique_name(*parts: str) -> str:
    """Return the parts between the moment and four random digits."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return "-".join([moment, *parts, secrets.token_hex(2)])


def shown_scenario(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario for the manifest: targets as they were opened, levels as
    factors."""
    shown = scenario.model_dump(
        mode="json", exclude={"targets": True, "matrix": {"base", "cells", "vary"}}
    )
    return shown | {"telemetry": _shown_telemetry(scenario)}


def _shown_telemetry(scenario: Scenario) -> dict[str, Any]:
    """Return it as a target's facts: of headers their names alone, and no query of an address."""
    shown = scenario.telemetry.model_dump(mode="json")
    for page in shown["prometheus"]:
        page["headers"] = sorted(page["headers"])
        page["url"] = page["url"].partition("?")[0]
    if shown["dcgm"] is not None:
        shown["dcgm"] = shown["dcgm"].partition("?")[0]
    return shown
