"""Every text that counts things does it with one helper, so that one thing is not "1 things"."""

import re
from pathlib import Path

import pytest

import observatory
from observatory.core.counted_nouns import count_of
from observatory.core.floors import duration_text, needs_text

NOUNS = (
    "requests seconds targets runs answers records readings attempts tries files rows items cells blocks "
    "stages errors models processes cores users workers prices connections replicas bytes days hours"
)
COUNTED = re.compile(rf"\{{[^{{}}]*\}} (?:{'|'.join(NOUNS.split())})\b(?!/)")
"""A value followed by a plural."""
OTHER = re.compile(
    r"human_number|:g\}|[:,.]\.?\d[gf]|\{[A-Z_]+(?:\[statistic\])?[:,]*\}|_counts\(|\{n[:,]*\}|\{ends"
)
"""Rates, shares, constants and spreads, which are no counts of one."""
NO_COUNT_OF_ONE = {
    "{now} answers", "{found.endpoint} answers", "{direction} requests", "{command} runs",
    "{request} requests", "{stage.handoff.request} requests", "{processes} processes",
    "{given} processes", "{count} requests", "{len(models)} models", "{volume} requests", "{end} requests",
    "{high} requests", "{requests} requests",
}  # fmt: skip
"""Verbs, names, and numbers that are above one wherever the text is written."""


@pytest.mark.parametrize(
    ("n", "nouns", "text"),
    [
        (0, ("request",), "0 requests"),
        (1, ("request",), "1 request"),
        (1234, ("request",), "1,234 requests"),
        (1, ("process", "processes"), "1 process"),
        (2, ("process", "processes"), "2 processes"),
        (1, ("run is", "runs are"), "1 run is"),
    ],
)
def test_a_noun_agrees_with_its_number(n: int, nouns: tuple[str, ...], text: str) -> None:
    assert count_of(n, *nouns) == text


def test_floors_and_times_agree() -> None:
    assert duration_text(0.4) == "about 1 second"
    assert duration_text(7200) == "about 2 hours"
    assert needs_text(1, 0) == "needs 1 request, has 0"


def test_no_text_writes_a_plural_after_a_count_by_itself() -> None:
    package = Path(observatory.__file__).parent
    found = [
        f"{path.relative_to(package)}: {hit.group()}"
        for path in sorted(package.rglob("*.py"))
        for hit in COUNTED.finditer(path.read_text(encoding="utf-8"))
        if not OTHER.search(hit.group()) and hit.group() not in NO_COUNT_OF_ONE
    ]
    assert found == []
