"""docs/glossary.md has every outcome, status and basis, and no code that does not exist."""

import re
from pathlib import Path
from typing import get_args

import pytest

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.metric import FLOORS, MEAN_FLOOR, METRICS
from observatory.core.reasons import REASONS
from observatory.core.record import Outcome
from observatory.core.run import RunStatus
from observatory.presentation.figures import BASES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| ([^|]+?) \| (?!meaning|---)", PAGE, re.MULTILINE)


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_has_an_entry(outcome: str) -> None:
    assert f"`{outcome}`" in TERMS


def test_statuses_and_bases_are_named() -> None:
    for word in (*(set(get_args(RunStatus)) - {"running"}), *BASES):
        assert word in PAGE, word


def test_every_code_on_the_page_exists() -> None:
    known = {*THRESHOLDS, *REASONS, *get_args(Outcome), *(metric.name for metric in METRICS)}
    known |= {"effective_n"}
    codes = re.findall(r"\(`([a-z_]+)`\)", PAGE)
    assert len(codes) >= 10
    assert [code for code in codes if code not in known] == []


def test_the_floors_are_the_codes() -> None:
    assert (
        f"{FLOORS['p50']} for p50 to {FLOORS['p999']:,} for p99.9, {MEAN_FLOOR} for means" in PAGE
    )
