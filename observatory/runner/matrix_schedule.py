"""What a campaign still has to measure, turn by turn, and how a matrix remembers what it has done.

A campaign that is no matrix has one turn with all its targets and remembers nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.matrices.design import Cell, Design
from observatory.core.plan import Plan, plan_sha256
from observatory.core.run import Manifest
from observatory.core.scenario import Scenario
from observatory.core.workspace import Workspace
from observatory.store.folder import campaigns

LAST = "last"


@dataclass(frozen=True, slots=True)
class ScheduledCell:
    """One execution to come: the turn's number and block (None: no matrix) and its cells' places."""

    turn: int | None
    block: int | None
    cells: tuple[int, ...]


class CampaignLog:
    """campaign.json as it grows: a run is noted when its folder exists and when it is sealed."""

    def __init__(self, workspace: Workspace, file: campaigns.CampaignFile) -> None:
        self._workspace = workspace
        self.file = file

    def begun(self, turn: int, cell: int, run_id: str) -> None:
        """Called when a run was begun."""
        self._write([*self.file.runs, campaigns.StartedRun(turn, cell, run_id)])

    def ended(self, manifest: Manifest) -> None:
        """Called when a run was sealed and judged."""
        verdict = manifest.verdict.level if manifest.verdict else None
        self._write(
            [
                msgspec.structs.replace(run, status=manifest.status, verdict=verdict)
                if run.run_id == manifest.run_id
                else run
                for run in self.file.runs
            ]
        )

    def repeated(self, turn: int, cell: int) -> list[str]:
        """Return the runs that were begun for a turn's cell before, none of which measured it."""
        return [run.run_id for run in self.file.runs if (run.turn, run.cell) == (turn, cell)]

    def schedule(self) -> list[ScheduledCell]:
        """Return what is still to be measured."""
        return [
            ScheduledCell(number, self.file.turns[number].block, tuple(cells))
            for number, cells in campaigns.missing(self.file)
        ]

    def _write(self, runs: list[campaigns.StartedRun]) -> None:
        self.file = msgspec.structs.replace(self.file, runs=runs)
        campaigns.write_campaign(self._workspace, self.file)


def new_campaign_log(
    workspace: Workspace,
    campaign_id: str,
    scenario: Scenario,
    plan: Plan,
    design: Design,
    scenario_argument: str,
    options: dict[str, Any],
) -> CampaignLog:
    """Return the campaign log of a matrix that begins now, on disk."""
    file = campaigns.CampaignFile(
        format=campaigns.CAMPAIGN_FORMAT,
        campaign_id=campaign_id,
        scenario=scenario.name,
        asked=scenario_argument,
        created_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        fingerprints=fingerprints(scenario, plan, design),
        cells=[campaigns.PlannedCell(cell.target.name, cell.factors) for cell in design.cells],
        turns=[campaigns.PlannedTurn(turn.block, list(turn.cells)) for turn in design.turns],
        repeats=design.repeats,
        order=design.order,
        seed=scenario.seed,
        confounded=list(design.confounded),
        options=options,
    )
    campaigns.write_campaign(workspace, file)
    return CampaignLog(workspace, file)


def find_campaign(workspace: Workspace, scenario: str, wanted: str) -> campaigns.CampaignFile:
    """Return the unfinished campaign of a scenario by its id, or the `last` of them; BadInput without one."""
    if wanted != LAST:
        folder = campaigns.campaign_folder(workspace, wanted)
        if folder.parent != workspace.campaigns:
            raise BadInput("is no campaign's id", where=f"--resume {wanted}")
        file = campaigns.read_campaign(folder)
        if file.scenario != scenario:
            raise BadInput(
                f"campaign {wanted} is of scenario {file.scenario}, not of {scenario}",
                where="--resume",
                fix=f"observatory run {file.asked} --resume {wanted}",
            )
        return file
    fitting = [
        file for file in campaigns.unfinished_campaigns(workspace) if file.scenario == scenario
    ]
    if not fitting:
        raise BadInput(
            f"scenario {scenario} has no unfinished campaign",
            where="--resume last",
            fix="observatory runs list shows those that there are",
        )
    return fitting[-1]


def resumed(
    workspace: Workspace,
    file: campaigns.CampaignFile,
    scenario: Scenario,
    plan: Plan,
    design: Design,
) -> CampaignLog:
    """Return the campaign log of a campaign that goes on; BadInput where what it would measure is not the same."""
    differs = campaigns.changed(file, fingerprints(scenario, plan, design))
    if differs:
        raise BadInput(
            f"the scenario is not what it was when campaign {file.campaign_id} began: "
            f"{', '.join(differs)} changed",
            where=f"--resume {file.campaign_id}",
            fix="put it back as it was, or start again without --resume",
        )
    campaign_log = CampaignLog(workspace, campaigns.refreshed(workspace, file))
    unsealed = [run.run_id for run in campaign_log.file.runs if run.status == "running"]
    if unsealed:
        raise EnvironmentFailed(
            f"run {unsealed[0]} of this campaign could not be sealed, and its samples would be lost",
            where=f"--resume {file.campaign_id}",
            fix="free what keeps it from being sealed, or observatory runs delete it",
        )
    if not campaign_log.schedule():
        raise BadInput("nothing of it is missing", where=f"--resume {file.campaign_id}")
    return campaign_log


def fingerprints(scenario: Scenario, plan: Plan, design: Design) -> dict[str, str]:
    """Return a hash for each part of what is measured. Targets are hashed whole and never written down."""
    parts: dict[str, Any] = {
        name: value
        for name, value in scenario.model_dump(mode="json").items()
        if name not in ("description", "targets", "matrix", "stop_on_refusals")
    }
    parts["requests"] = plan_sha256(plan)
    parts["order"] = [[turn.block, list(turn.cells)] for turn in design.turns]
    for cell in design.cells:
        parts[f"cell {cell.target.name}"] = [cell.place, cell.target.model_dump(mode="json")]
    return {
        name: hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]
        for name, value in parts.items()
    }


def one_turn(cells: Sequence[Cell]) -> list[ScheduledCell]:
    """Return the schedule of a campaign that is no matrix: all its targets at once."""
    return [ScheduledCell(None, None, tuple(cell.place for cell in cells))]
