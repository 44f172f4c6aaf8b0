"""Which runs the front page compares: for each comparison key its latest complete campaign.

The same choice as the view target_comparison, over the runs that a site shows. A campaign all of
whose runs are complete and not invalid is preferred to a later one that was interrupted, crashed
or is invalid in part; where there is none, one with such a run; else one with a run that is not
invalid. Runs that are left out are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.site.queries.run_row import RunRow


@dataclass(frozen=True, slots=True)
class Latest:
    """One key's campaign: the runs that are compared, and those of it or later that are not."""

    compared: list[RunRow]
    left_out: list[RunRow]
    """Invalid and unjudged runs of this campaign or a later one, and all of later campaigns."""


def latest_campaigns(runs: Sequence[RunRow]) -> list[Latest]:
    """Return one entry a comparison key, the latest campaign first."""
    keys = dict.fromkeys(run.comparison_key for run in runs)
    found = [_latest([run for run in runs if run.comparison_key == key]) for key in keys]
    return sorted(found, key=_when, reverse=True)


def _when(latest: Latest) -> tuple[str, str]:
    rows = latest.compared or latest.left_out
    return min((str(run.created_at), run.campaign_id) for run in rows)


def _latest(runs: list[RunRow]) -> Latest:
    begun: dict[str, str] = {}
    for run in runs:
        campaign, created = run.campaign_id, str(run.created_at)
        begun[campaign] = min(begun.get(campaign, created), created)
    best: dict[str, dict[tuple[str, object], RunRow]] = {campaign: {} for campaign in begun}
    for run in sorted(runs, key=_worth):
        best[run.campaign_id][run.target, run.block] = run
    candidates = [
        (
            all(run.whole for run in own.values()),
            any(run.whole for run in own.values()),
            begun[name],
            name,
        )
        for name, own in best.items()
        if any(run.sound for run in own.values())
    ]
    if not candidates:
        return Latest([], runs)
    *_, start, campaign = max(candidates)
    compared = {run.target: run for run in sorted(best[campaign].values(), key=_worth) if run.sound}
    left_out = [
        run
        for run in runs
        if (begun[run.campaign_id], run.campaign_id) >= (start, campaign)
        and not (run.sound and run.campaign_id == campaign)
    ]
    return Latest(list(compared.values()), left_out)


def _worth(run: RunRow) -> tuple[bool, bool, str, str]:
    """Sort key: the run to show of several of one target comes last."""
    return run.whole, run.sound, str(run.created_at), run.run_id
