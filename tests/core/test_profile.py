"""Emulator profiles: what is refused, and that the page and the schema are those of the model."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from observatory.core.emulation.profile import FAULT_KINDS, Faults, Imitates, Part, Profile
from tools.doc_tables import filled_page
from tools.profile_page import fields_markdown, profile_schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ttft_p95": "1ms"}, "ttft_p95 is below ttft_median"),
        ({"ttft_median": "0ms"}, "a ttft_median of zero needs a ttft_p95 of zero"),
        ({"reasoning": {"tokens_median": 5, "tokens_p95": 4}}, "tokens_p95 is below"),
        ({"faults": {"reset": 0.6, "stall": 0.6}}, "add up to 1.2, more than 1"),
        ({"faults": {"typhoon": 0.1}}, "Extra inputs are not permitted"),
        (
            {"imitates": {"what": "x", "figures": [], "source": "y", "date": "2026-01-01"}},
            "figures",
        ),
        ({"imitates": {"what": "x", "figures": ["a"], "date": "2026-01-01"}}, "source"),
        ({"imitates": {"what": "x", "figures": ["a"], "source": "y", "date": "lately"}}, "date"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Profile.model_validate(fields)
    assert message in str(refused.value)


def test_an_imitation_says_what_by_which_figures_from_where_and_when() -> None:
    imitates = Imitates(
        what="a service",
        figures=["p50 TTFT 300 ms", "60 tokens/s"],
        source="a page",
        date="2026-01-31",
    )
    assert imitates.sentence() == (
        "imitates a service, by p50 TTFT 300 ms; 60 tokens/s (a page, 2026-01-31)"
    )


def test_every_kind_of_fault_has_its_rate() -> None:
    rates = dict(Faults(**{kind: 0.001 * at for at, kind in enumerate(FAULT_KINDS)}).rates())  # type: ignore[arg-type]
    assert rates == {kind: 0.001 * at for at, kind in enumerate(FAULT_KINDS)}


def test_a_profile_reads_back_what_it_writes() -> None:
    profile = Profile.model_validate(
        {
            "ttft_median": "1.5ms",
            "slots": 3,
            "shape": {"keep_alive": "90s"},
            "faults": {"reset": 0.5},
        }
    )
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_the_page_and_the_schema_are_those_of_the_model() -> None:
    again = "python -m tools.profile_page docs/emulator.md scenarios/profile.schema.json"
    page = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    assert filled_page(page, {"profile fields": fields_markdown()}) == page, again
    schema = (ROOT / "scenarios" / "profile.schema.json").read_text(encoding="utf-8")
    assert schema == profile_schema(), again


def test_every_field_is_explained() -> None:
    parts = [Profile, *Part.__subclasses__()]
    unexplained = [
        f"{part.__name__}.{name}"
        for part in parts
        for name, field in part.model_fields.items()
        if not field.description
    ]
    assert unexplained == []
    text = fields_markdown()
    assert all(f"| `{name}` |" in text for part in parts for name in part.model_fields)


def test_the_page_tells_how_each_fault_is_provoked() -> None:
    page = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
    provoked = page.split("## Faults, and how each is provoked")[1].split("\n## ")[0]
    assert all(f"| `{kind}` |" in provoked for kind in FAULT_KINDS)
