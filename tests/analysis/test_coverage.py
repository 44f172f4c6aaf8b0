"""How often intervals hold the truth of queues whose truth is known, and how wide they are."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial

import pytest

from benchmarks.coverage import (
    INDEPENDENT,
    SIZES,
    WANTED,
    WIDER,
    WINDOWS,
    Cell,
    cells_of,
    pooled,
    study,
)
from benchmarks.queues import MODELS

MODEL = {model.name: model for model in MODELS}


@cache
def cells(name: str, n: int, windows: int) -> tuple[Cell, ...]:
    return tuple(study(MODEL[name], windows, (n,)))


def cell_of(name: str, n: int, figure: str, windows: int, *, difference: bool = False) -> Cell:
    found = cells(name, n, windows)
    return next(c for c in found if c.figure == figure and c.difference is difference)


@pytest.mark.parametrize(
    ("name", "n", "figure"),
    [
        ("M/M/1, load 0.3", 1000, "p50"),
        ("M/M/1, load 0.3", 1000, "mean"),
        ("M/M/1, load 0.7", 1000, "p50"),
        ("M/M/8, load 0.7", 200, "p50"),
        ("M/D/1, load 0.9", 200, "rate"),
        ("closed loop, 64 users, 8 servers", 1000, "p50"),
        ("two classes, load 0.5", 1000, "p50"),
        ("independent, 64 open", 200, "p90"),
    ],
)
def test_intervals_that_are_shown_hold_the_truth(name: str, n: int, figure: str) -> None:
    """100 windows each; the rule is Cell.verdict's."""
    cell = cell_of(name, n, figure, 100)
    assert cell.shown >= 20
    assert cell.verdict == "holds", cell


@pytest.mark.parametrize("figure", ["p50", "goodput", "rate"])
def test_intervals_of_differences_hold_0(figure: str) -> None:
    cell = cell_of("M/M/1, load 0.3", 1000, figure, 100, difference=True)
    assert (cell.windows, cell.difference) == (50, True)
    assert cell.shown > 40
    assert cell.verdict == "holds", cell


@pytest.mark.parametrize("figure", ["p50", "p90", "mean"])
def test_a_window_that_is_far_too_short_shows_nothing(figure: str) -> None:
    assert cell_of("M/M/1, load 0.9", 200, figure, 60).verdict == "not shown"


@pytest.mark.parametrize(
    ("n", "share_shown"), [(64, {"p50": 0.9}), (200, {"p50": 0.9, "p90": 0.85})]
)
@pytest.mark.parametrize("model", INDEPENDENT)
def test_independent_requests_are_shown_and_hardly_wider(
    model: str, n: int, share_shown: dict[str, float]
) -> None:
    for figure, least in share_shown.items():
        cell = cell_of(model, n, figure, 300)
        assert cell.shown >= least * cell.windows, cell
        assert cell.width <= WIDER * cell.independent_width, cell


def test_a_verdict_is_by_the_binomial_interval_of_the_windows_that_show() -> None:
    def verdict(shown: int, held: int) -> str:
        return Cell("m", 200, "p50", False, 500, shown, held, 1.0, 1.0).verdict

    assert verdict(24, 0) == "not shown"
    assert [verdict(500, held) for held in (441, 445, 494, 496)] == [
        "too low",
        "holds",
        "holds",
        "too high",
    ]
    assert [verdict(50, held) for held in (38, 41, 50)] == ["too low", "holds", "holds"]


TOO_LOW = {("M/M/8, load 0.7", 200, "p50")}
"""Windows that look like those of an idle service (docs/statistics.md)."""
TOO_HIGH = {
    ("M/M/1, load 0.3", 200, "p50"),
    ("M/M/8, load 0.7", 5000, "p90"),
    ("closed loop, 8 users, 1 server", 1000, "p50"),
    ("closed loop, 8 users, 1 server", 5000, "p90"),
    *(("M/D/1, load 0.3", n, "p50") for n in SIZES),
}
"""Near a floor, and M/D/1, where 70 % of the requests take exactly 1: an interval that ends there holds it."""


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_cell_that_is_shown_covers() -> None:
    """500 windows of each model, and 250 differences. One cell covers too little, and at least 75 %."""
    with ProcessPoolExecutor() as pool:
        studied = pool.map(partial(cells_of, WINDOWS), range(len(MODELS)))
        found = [cell for each in studied for cell in each]
    outside = {
        verdict: {(c.model, c.n, c.figure) for c in found if c.verdict == verdict}
        for verdict in ("too low", "too high")
    }
    assert outside["too low"] <= TOO_LOW
    assert outside["too high"] <= TOO_HIGH
    for cell in found:
        if cell.verdict == "too low":
            assert cell.held > 0.75 * cell.shown, cell
        if cell.model in INDEPENDENT and not cell.difference and cell.shown:
            assert cell.width <= WIDER * cell.independent_width, cell
            assert cell.figure != "p50" or cell.shown >= 0.9 * cell.windows, cell
    for n in SIZES:
        assert pooled(found, n) >= WANTED[0]
