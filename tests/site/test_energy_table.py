"""A run's energy table: the baseline by its name, a check that is no sum, a range with its ends."""

from typing import Any

from observatory.site.run_tables import energy_table

S = 1_000_000_000


def row(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "stage": None,
        "subject": "target",
        "scope": "gpu",
        "basis": "measured",
        "method": "nvml_counter",
        "energy_j": 600.0,
        "low_j": None,
        "high_j": None,
        "counts": True,
        "window_start_ns": 0,
        "window_end_ns": 10 * S,
        "reason": None,
        "source": "NVML",
    }
    return given | changes


def test_the_baseline_has_a_name_and_a_power() -> None:
    (cells,) = energy_table([row()], {}).rows
    assert cells[0].text == "idle baseline"
    assert (cells[3].text, cells[3].under) == ("600 J", "60 W on average")
    assert cells[5].under is None


def test_a_check_says_that_it_is_in_no_sum() -> None:
    check = row(method="nvml_power_trapezoid", counts=False)
    (cells,) = energy_table([check], {}).rows
    assert cells[5].under == "checks the row above, in no sum"
    (older,) = energy_table([row(counts=None)], {}).rows
    assert older[5].under is None


def test_a_range_has_both_ends() -> None:
    ranged = row(basis="modelled", energy_j=30.0, low_j=20.0, high_j=40.0)
    (cells,) = energy_table([ranged], {}).rows
    assert cells[3].under == "3 W on average, 20 J to 40 J"
