"""Probes for limits on the overview: a table of what was found, and no section as if they were workloads."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from observatory.core.workspace import Workspace
from observatory.site.build import build_site
from tests.site.planting import Planted
from tests.site.reading import words

Planter = Callable[..., Workspace]
PROBE = Planted(
    "emulated-limited",
    campaign="20261121T090000Z-limits-rpm-00ee",
    created="2026-11-21T09:00:00Z",
    scenario="limits-rpm",
    key="0000111122223333",
    kind="emulated",
    hosting="managed",
    weights="closed",
    billing="tokens",
    basis="emulated",
    arrivals="constant",
    levels=(4.0,),
    requests=140,
    allowed_a_minute=60,
    level="invalid",
    sentence="invalid: most requests failed on purpose",
    label="limits-emulated-limited-1",
    seed=31,
)


def found_rows(html: str) -> list[list[str]]:
    section = html.split('id="limits-found">')[1].split("</section>")[0]
    body = section.split("<tbody>")[1].split("</tbody>")[0]
    return [
        [
            re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cell)).strip()
            for cell in re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.S)
        ]
        for row in re.findall(r"<tr>.*?</tr>", body, flags=re.S)
    ]


def test_a_probe_is_a_line_of_its_own_and_no_workload(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    built = build_site(planter(PROBE, seeds["smollm2-llamacpp"]))
    html = (built / "index.html").read_text()
    assert "<h2>limits-rpm</h2>" not in html
    assert "<h2>quickstart</h2>" in html
    [row] = found_rows(html)
    assert row[0] == "emulated-limited emulated"
    assert row[1] == "requests a minute"
    effective = re.fullmatch(r"(\d+) (\d+)–(\d+)", row[2])
    assert effective is not None
    value, low, high = map(int, effective.groups())
    assert abs(value - 60) <= 3
    assert low <= 60 <= high
    assert row[3] == "60"
    assert abs(float(row[4]) - 1) <= 0.05
    assert row[5] == "bucket that refills all the time"
    refused = re.fullmatch(r"(\d+) of 140 attempts", row[7])
    assert refused is not None
    assert abs(int(refused.group(1)) - (140 - 5 - 35)) <= 2
    assert row[8].startswith("stated 500 ms")
    for page in ("energy.html", "money.html"):
        assert "limits-rpm" not in (built / page).read_text()
    assert "emulated-limited" in (built / "runs.html").read_text()


def test_the_latest_probe_speaks_with_all_its_runs(planter: Planter) -> None:
    older = replace(PROBE, created="2026-11-20T09:00:00Z", label="older", allowed_a_minute=120)
    sounding = replace(
        PROBE, created="2026-11-21T08:59:00Z", levels=(1.0,), requests=6, seed=32,
        allowed_a_minute=None,
    )  # fmt: skip
    older = replace(older, seed=33)
    built = build_site(planter(older, sounding, PROBE))
    [row] = found_rows((built / "index.html").read_text())
    assert re.match(r"(5[7-9]|6[0-3]) ", row[2])
    assert 'class="empty"' not in (built / "index.html").read_text()


def test_a_limit_that_was_not_met_says_how_far_was_asked(planter: Planter) -> None:
    built = build_site(planter(replace(PROBE, allowed_a_minute=None)))
    [row] = found_rows((built / "index.html").read_text())
    assert row[2] == "– no refusal up to 240"
    assert row[3] == "– no header states it a minute"


def test_without_a_probe_no_limit_is_spoken_of(planter: Planter, seeds: dict[str, Any]) -> None:
    built = build_site(planter(seeds["smollm2-llamacpp"]))
    assert "Limits found" not in words(built / "index.html")
