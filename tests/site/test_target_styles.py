"""A target's colour, shape and words."""

from typing import Any

from observatory.site.queries.run_row import RunRow
from observatory.site.target_styles import group_of, styles_of
from tests.site.made_rows import run_row


def row(target: str, created: str = "2026-01-01", **changes: Any) -> RunRow:
    base = {"hosting": "self", "weights": "open", "billing": "hours"}
    return run_row(target=target, created_at=created, **base | changes)


def test_families_go_by_weights_then_hosting() -> None:
    styles = styles_of(
        [
            row("ours"),
            row("together", hosting="managed", billing="tokens"),
            row("frontier", hosting="managed", weights="closed", billing="tokens"),
        ]
    )
    assert {name: style.family for name, style in styles.items()} == {
        "ours": "self",
        "together": "managed",
        "frontier": "closed",
    }
    assert len({style.shape for style in styles.values()}) == 3


def test_a_new_target_changes_no_older_colour() -> None:
    old = [row("zebra", "2026-01-01"), row("yak", "2026-01-02")]
    before = styles_of(reversed(old))
    after = styles_of([row("aardvark", "2026-01-03"), *reversed(old)])
    assert after["zebra"] == before["zebra"]
    assert after["yak"] == before["yak"]
    assert len({style.colour for style in after.values()}) == 3


def test_what_is_emulated_says_so_and_is_dashed() -> None:
    styles = styles_of([row("emulated-api", emulated=True), row("real")])
    assert styles["emulated-api"].label == "emulated-api (emulated)"
    assert styles["emulated-api"].dash != styles["real"].dash
    assert styles["real"].label == "real"


def test_groups_name_hosting_weights_and_billing() -> None:
    assert group_of(row("x")) == "Self-hosted, open weights, billed by hour"
    managed = row("x", hosting="managed", weights="closed", billing="tokens")
    assert group_of(managed) == "Managed, closed weights, billed by token"
