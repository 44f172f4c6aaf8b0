"""A target's colour, shape and words."""

from typing import Any

from observatory.site.target_styles import group_of, looks_of


def row(target: str, created: str = "2026-01-01", **changes: Any) -> dict[str, Any]:
    base = {"hosting": "self", "weights": "open", "billing": "hours", "emulated": False}
    return {"target": target, "created_at": created, **base, **changes}


def test_families_go_by_weights_then_hosting() -> None:
    looks = looks_of(
        [
            row("ours"),
            row("together", hosting="managed", billing="tokens"),
            row("frontier", hosting="managed", weights="closed", billing="tokens"),
        ]
    )
    assert {name: look.family for name, look in looks.items()} == {
        "ours": "self",
        "together": "managed",
        "frontier": "closed",
    }
    assert len({look.shape for look in looks.values()}) == 3


def test_a_new_target_changes_no_older_colour() -> None:
    old = [row("zebra", "2026-01-01"), row("yak", "2026-01-02")]
    before = looks_of(reversed(old))
    after = looks_of([row("aardvark", "2026-01-03"), *reversed(old)])
    assert after["zebra"] == before["zebra"]
    assert after["yak"] == before["yak"]
    assert len({look.colour for look in after.values()}) == 3


def test_what_is_emulated_says_so_and_is_dashed() -> None:
    looks = looks_of([row("emulated-api", emulated=True), row("real")])
    assert looks["emulated-api"].label == "emulated-api (emulated)"
    assert looks["emulated-api"].dash != looks["real"].dash
    assert looks["real"].label == "real"


def test_groups_name_hosting_weights_and_billing() -> None:
    assert group_of(row("x")) == "Self-hosted, open weights, billed by hour"
    managed = row("x", hosting="managed", weights="closed", billing="tokens")
    assert group_of(managed) == "Managed, closed weights, billed by token"
