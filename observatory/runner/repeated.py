"""What the runs that a resumed campaign repeats had spent: it counts against the same caps."""

from collections.abc import Sequence

import msgspec

from observatory.core.caps_spent import CapsSpent
from observatory.core.counted_nouns import count_of
from observatory.core.errors import ObservatoryError
from observatory.core.run import Manifest
from observatory.core.scenario import Budget
from observatory.presentation.dollars import write_usd
from observatory.runner.campaign_execution import CampaignExecution, CampaignMember
from observatory.runner.spending import Spent
from observatory.store.folder.manifest import read_manifest


def count_repeated(
    execution: CampaignExecution, member: CampaignMember, run_ids: Sequence[str]
) -> None:
    """Count what earlier runs of this cell spent, and print it."""
    campaign, budget = execution.campaign, execution.campaign.request.scenario.budget
    if budget == Budget():
        return
    for run_id in run_ids:
        try:
            spent = spent_of(read_manifest(campaign.workspace.runs / run_id), budget)
        except ObservatoryError:
            spent = all_spent(budget)
        member.spent_before = member.spent_before.plus(spent)
    words = _words(budget, member.spent_before)
    if run_ids and words:
        campaign.observer.report(
            f"{member.target.name}: of its budget, {words} were spent before the campaign was resumed"
        )


def spent_of(manifest: Manifest, budget: Budget) -> Spent:
    """Return what a run spent of its caps; all of them where that is not known.

    Not known: of a stage whose runner was killed, where the workers did not count it (an older version).
    """
    if manifest.status in ("running", "crashed") and any(not s.counted for s in manifest.stages):
        return all_spent(budget)
    found = msgspec.structs.asdict(manifest.spent or CapsSpent())
    return Spent(**{name: counted for name, counted in found.items() if counted is not None})


def all_spent(budget: Budget) -> Spent:
    """Return all of the caps."""
    usd = budget.usd or 0.0
    return Spent(budget.requests or 0, budget.output_tokens or 0, usd, usd)


def _words(budget: Budget, spent: Spent) -> str:
    """Return what was spent of each cap that there is, in words; empty where nothing was."""
    parts = []
    if budget.requests is not None and spent.requests:
        parts.append(f"{spent.requests} of {count_of(budget.requests, 'request')}")
    if budget.output_tokens is not None and spent.output_tokens:
        parts.append(f"{spent.output_tokens} of {count_of(budget.output_tokens, 'output token')}")
    if budget.usd is not None and spent.usd:
        parts.append(f"{write_usd(spent.usd)} of {write_usd(budget.usd)}")
    return ", ".join(parts)
