"""campaign.json of a matrix that is being measured: what was planned, what has run, what is missing.

It lies in results/campaigns/<campaign id>, is written whole or not at all, and goes when the last
run is done; the order is then in the runs' manifests.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from observatory.core.errors import BadInput, EnvironmentFailed, ObservatoryError
from observatory.core.run import RunStatus
from observatory.core.workspace import Workspace
from observatory.store.files import disk_error, replacing
from observatory.store.folder.manifest import MANIFEST_NAME, read_manifest
from observatory.store.folder.run_lock import is_running

CAMPAIGN_NAME = "campaign.json"
CAMPAIGN_FORMAT = 1
DONE: tuple[RunStatus, ...] = ("complete", "budget_reached")
"""Runs that are not run again: they are complete, with any verdict."""


class PlannedTurn(msgspec.Struct, frozen=True):
    """Cells (by place) that are up at the same time, in a block."""

    block: int
    cells: list[int]


class PlannedCell(msgspec.Struct, frozen=True):
    """A cell's name and its levels."""

    name: str
    factors: dict[str, Any]


class StartedRun(msgspec.Struct, frozen=True):
    """A run that was begun for a cell in a turn."""

    turn: int
    cell: int
    run_id: str
    status: RunStatus = "running"
    verdict: str | None = None


class CampaignFile(msgspec.Struct, frozen=True):
    """The whole file. asked: the scenario as it was typed; options: the options that were typed.

    fingerprints: part of the scenario -> hash, so that a change can be named.
    """

    format: int
    campaign_id: str
    scenario: str
    asked: str
    created_utc: str
    fingerprints: dict[str, str]
    cells: list[PlannedCell]
    turns: list[PlannedTurn]
    repeats: int
    order: str
    seed: int
    confounded: list[str] = []
    options: dict[str, Any] = {}
    runs: list[StartedRun] = []


def campaign_folder(workspace: Workspace, campaign_id: str) -> Path:
    """Return where a campaign's file, and its samples while it runs, lie."""
    return workspace.campaigns / campaign_id


def write_campaign(workspace: Workspace, campaign: CampaignFile) -> None:
    """Replace campaign.json atomically and wait until it is on the disk."""
    folder = campaign_folder(workspace, campaign.campaign_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    with replacing(folder / CAMPAIGN_NAME) as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(campaign), indent=2) + b"\n")


def read_campaign(folder: Path) -> CampaignFile:
    """Return the file in a campaign's folder; BadInput where there is none or it is of another version."""
    path = folder / CAMPAIGN_NAME
    try:
        data = path.read_bytes()
        number = msgspec.json.decode(data, type=dict[str, Any]).get("format")
        if number != CAMPAIGN_FORMAT:
            raise BadInput(
                f"campaign format {number} is not read by this version, which knows {CAMPAIGN_FORMAT}",
                where=str(path),
                fix="resume it with the version that began it",
            )
        return msgspec.json.decode(data, type=CampaignFile)
    except FileNotFoundError as error:
        raise BadInput("is no unfinished campaign", where=folder.name) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvironmentFailed(f"the file is damaged: {error}", where=str(path)) from error
    except OSError as error:
        raise disk_error(error, path) from error


def unfinished_campaigns(workspace: Workspace) -> list[CampaignFile]:
    """Return every campaign that can be resumed, oldest first, with its runs as their folders have them.

    One whose runner is alive is left out; so is a file that cannot be read.
    """
    found = []
    for folder in sorted(workspace.campaigns.glob(f"*/{CAMPAIGN_NAME}")):
        try:
            campaign = refreshed(workspace, read_campaign(folder.parent))
        except ObservatoryError:
            continue
        if not is_running(folder.parent):
            found.append(campaign)
    return sorted(found, key=lambda campaign: (campaign.created_utc, campaign.campaign_id))


def refreshed(workspace: Workspace, campaign: CampaignFile) -> CampaignFile:
    """Return the campaign with each run's status and verdict from its manifest; deleted runs are gone."""
    runs = []
    for run in campaign.runs:
        folder = workspace.runs / run.run_id
        if not (folder / MANIFEST_NAME).is_file():
            continue
        manifest = read_manifest(folder)
        verdict = manifest.verdict.level if manifest.verdict else None
        runs.append(msgspec.structs.replace(run, status=manifest.status, verdict=verdict))
    return msgspec.structs.replace(campaign, runs=runs)


def missing(campaign: CampaignFile) -> list[tuple[int, list[int]]]:
    """Return what is still to be measured: turns by number, each with its cells that no run has done."""
    done = {(run.turn, run.cell) for run in campaign.runs if run.status in DONE}
    left = [
        (number, [cell for cell in turn.cells if (number, cell) not in done])
        for number, turn in enumerate(campaign.turns)
    ]
    return [(number, cells) for number, cells in left if cells]


def changed(campaign: CampaignFile, now: Mapping[str, str]) -> list[str]:
    """Return which parts of the scenario are not what they were when the campaign began."""
    names = sorted({*campaign.fingerprints, *now})
    return [name for name in names if campaign.fingerprints.get(name) != now.get(name)]


def holds_unfinished(folder: Path) -> bool:
    """Return whether a campaign's folder must be kept although no unsealed run needs it."""
    return (folder / CAMPAIGN_NAME).is_file()
