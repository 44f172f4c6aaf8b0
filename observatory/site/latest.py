"""Which runs the front page compares: for each comparison key its latest campaign.

The same choice as the view target_comparison, over the runs that a site shows: a run that is
invalid or was never judged is left out and counted, and a campaign of such runs alone is passed by.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.site.figures import Row


@dataclass(frozen=True, slots=True)
class Latest:
    """One key's campaign: the runs that are compared, and those of it or later that are not."""

    compared: list[Row]
    left_out: list[Row]


def latest_campaigns(runs: Sequence[Row]) -> list[Latest]:
    """One entry a comparison key, the latest campaign first."""
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
    sound = [run for run in runs if is_sound(run)]
    unsound = [run for run in runs if not is_sound(run)]
    if not sound:
        return Latest([], unsound)
    campaign = max((begun[run["campaign_id"]], run["campaign_id"]) for run in sound)[1]
    by_target: dict[str, Row] = {}
    for run in sorted(sound, key=lambda run: (str(run["created_at"]), run["run_id"])):
        if run["campaign_id"] == campaign:
            by_target[run["target"]] = run
    left_out = [run for run in unsound if begun[run["campaign_id"]] >= begun[campaign]]
    return Latest(list(by_target.values()), left_out)


def is_sound(run: Row) -> bool:
    """It was judged, and not as invalid."""
    return run["verdict"] not in (None, "invalid")
