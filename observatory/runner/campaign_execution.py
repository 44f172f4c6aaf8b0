"""The nouns of a campaign while it runs: the request, its runs, and those measured together.

They hold state and decide nothing; `campaign` is the story, and each of its steps a file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from observatory.core.clock import Anchor
from observatory.core.errors import ObservatoryError
from observatory.core.matrices.design import Cell, Design
from observatory.core.money.quotes import Quote
from observatory.core.plan import Plan
from observatory.core.run import Manifest, RunStatus
from observatory.core.scenario import Scenario
from observatory.core.targets.catalogue import Target
from observatory.core.workspace import Workspace
from observatory.economics.price_rows import AppliedPrices
from observatory.endpoints.opened import OpenTarget
from observatory.runner.checks.preflight import Preflight
from observatory.runner.matrix_schedule import ScheduledCell
from observatory.runner.progress import Observer
from observatory.runner.spending import Spent
from observatory.runner.stopping import Stop
from observatory.store.folder.campaigns import CampaignFile, campaign_folder
from observatory.telemetry.sampler_process import SamplerHandle


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request to run a scenario. folder is the scenario file's, for relative paths.

    design: a matrix, whose cells the targets are. scenario_argument, options: the command line, for a resume.
    resume: an unfinished campaign that goes on, instead of a new one.
    force: start although this host is estimated to be too small for the plan.
    """

    scenario: Scenario
    folder: Path
    targets: list[Target]
    publish: bool = False
    label: str | None = None
    force: bool = False
    design: Design | None = None
    scenario_argument: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    resume: CampaignFile | None = None

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its targets with their levels; without a matrix they have none."""
        if self.design is not None:
            return self.design.cells
        return tuple(Cell(place, target, {}) for place, target in enumerate(self.targets))


@dataclass(frozen=True, slots=True)
class Campaign:
    """What every run of a campaign has in common.

    quotes: by the place of their cell. locks: descriptors of the targets' locks, by lock_name.
    """

    workspace: Workspace
    request: RunRequest
    observer: Observer
    plan: Plan
    campaign_id: str
    stop: Stop
    preflight: Preflight
    quotes: dict[int, Quote] = field(default_factory=dict)
    locks: dict[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where what belongs to the campaign alone lies while it runs."""
        return campaign_folder(self.workspace, self.campaign_id)


@dataclass(slots=True)
class CampaignMember:
    """One run of the campaign while it lives. spent_before: of its caps, by the runs that it repeats."""

    target: Target
    prices: AppliedPrices
    folder: Path
    manifest: Manifest
    opened: OpenTarget | None = None
    spent: Spent = field(default_factory=Spent)
    spent_before: Spent = field(default_factory=Spent)
    status: RunStatus = "running"
    reason: str | None = None
    error: ObservatoryError | None = None
    """What ended the execution, where it was this target's failure."""

    def over(self, status: RunStatus, reason: str | None) -> None:
        """End it with this status: no more load; of several calls the first reason holds."""
        if self.status == "running":
            self.status, self.reason = status, reason


@dataclass(slots=True)
class CampaignExecution:
    """Targets that are up at the same time, under one sampler and one anchor.

    scheduled: which cells they are. place: its position in the campaign, for people. later_s: what the
    executions after it are expected to take.
    """

    campaign: Campaign
    anchor: Anchor
    scheduled: ScheduledCell
    place: str = ""
    later_s: float = 0.0
    members: list[CampaignMember] = field(default_factory=list)
    sampler: SamplerHandle | None = None
    executions_left_s: float = 0.0
