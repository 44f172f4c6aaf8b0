"""Which runs the front page compares: for each comparison key its latest complete campaign.

The same choice as the view target_comparison, over the runs that a site shows. A campaign all of
whose runs are complete and not invalid is preferred to a later one that was interrupted, crashed
or is invalid in part; where there is none, one with such a run; else one with a run that is not
invalid. Runs that are left out are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.presentation.figures import Row


@dataclass(frozen=True, slots=True)
class Latest:
    """One key's campaign: the runs that are compared, and those of it or later that are not."""

    compared: list[Row]
    left_out: list[Row]
    """Invalid and unjudged runs of this campaign or a later one, and all of later campaigns."""


def latest_campaigns(runs: Sequence[Row]) -> list[Latest]:
    """Return one entry a comparison key, the latest campaign first."""
    keys = dict.fromkeys(run["comparison_key"] for run in runs)
    found = [_latest([run for run in runs if run["comparison_key"] == key]) for key in keys]
    return sorted(found, key=_when, reverse=True)


def _when(latest: Latest) -> tuple[str, str]:
    rows = latest.compared or latest.left_out
    return min((str(run["created_at"]), run["campaign_id"]) for run in rows)


def _latest(runs: list[Row]) -> Latest:
    begun: dict[str, str] = {}
    for run in runs:
        campaign, created = run["campaign_id"], str(run["created_at"])
        begun[campaign] = min(begun.get(campaign, created), created)
    best: dict[str, dict[tuple[str, object], Row]] = {campaign: {} for campaign in begun}
    for run in sorted(runs, key=_worth):
        best[run["campaign_id"]][run["target"], run.get("block")] = run
    candidates = [
        (all(map(is_whole, own.values())), any(map(is_whole, own.values())), begun[name], name)
        for name, own in best.items()
        if any(map(is_sound, own.values()))
    ]
    if not candidates:
        return Latest([], runs)
    *_, start, campaign = max(candidates)
    compared = {
        run["target"]: run for run in sorted(best[campaign].values(), key=_worth) if is_sound(run)
    }
    left_out = [
        run
        for run in runs
        if (begun[run["campaign_id"]], run["campaign_id"]) >= (start, campaign)
        and not (is_sound(run) and run["campaign_id"] == campaign)
    ]
    return Latest(list(compared.values()), left_out)


def _worth(run: Row) -> tuple[bool, bool, str, str]:
    """Sort key: the run to show of several of one target comes last."""
    return is_whole(run), is_sound(run), str(run["created_at"]), run["run_id"]


def is_sound(run: Row) -> bool:
    """Return whether it was judged, and not as invalid."""
    return bool(run["sound"])


def is_whole(run: Row) -> bool:
    """Return whether it is sound and did all that was requested of it."""
    return bool(run["whole"])
