"""How often the 95 % intervals hold the truth: `python -m benchmarks coverage` prints the table.

Pure and seeded: every window is a queue in virtual time (benchmarks.queues). Of each model, window
size and figure: the share of windows that show the figure, and the share of the intervals shown that
hold the truth.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.queues import MODELS, Array, Model
from observatory.analysis.estimate import Estimate
from observatory.analysis.proportions import batch_sums, rate
from observatory.analysis.quantiles import percentile
from observatory.analysis.series import Ordered, share
from observatory.core.metric import MEAN_FLOOR

SIZES = (200, 1000, 5000)
WINDOWS = 500
SEED = 2026
FIGURES = ("p50", "p90", "p95", "mean", "goodput", "rate")
WANTED = (0.92, 0.97)
NS = 1e9


@dataclass(frozen=True, slots=True)
class Cell:
    """windows tried, in how many the figure was shown with an interval, and how many of those held
    the truth; width is the mean width of those shown, today the one for independent values."""

    model: str
    n: int
    figure: str
    windows: int
    shown: int
    held: int
    width: float
    independent_width: float

    @property
    def coverage(self) -> float | None:
        """Of those shown; None where none was."""
        return self.held / self.shown if self.shown else None


def study(model: Model, windows: int, sizes: tuple[int, ...] = SIZES) -> Iterator[Cell]:
    """The cells of one model; a size's windows are the ends of the largest size's."""
    starts, durations = model.simulate(np.random.default_rng(SEED), windows, max(sizes))
    for n in sizes:
        found: dict[str, list[tuple[Estimate, float]]] = {figure: [] for figure in FIGURES}
        for start, duration in zip(starts, durations, strict=True):
            for figure, estimate, width in _estimates(model, start, duration, n):
                found[figure].append((estimate, width))
        for figure, each in found.items():
            yield _cell(model, n, figure, each)


def _estimates(
    model: Model, starts: Array, durations: Array, n: int
) -> Iterator[tuple[str, Estimate, float]]:
    """Each figure over the last n requests, and how wide an interval for independent values would be."""
    ends = np.sort(starts + durations)
    opened = np.arange(len(starts)) - np.searchsorted(ends, starts, "right")
    values = durations[-n:]
    ordered = Ordered(values, opened[-n:].astype(np.float64))
    for statistic in ("p50", "p90", "p95"):
        exact = percentile(ordered.ascending, statistic)
        yield statistic, ordered.percentile(statistic), _width(exact)
    yield "mean", ordered.mean(), 0.0
    good = share(values <= model.truth.p90, ordered.dependence, floor=MEAN_FLOOR)
    yield "goodput", good, 0.0
    first, last = starts[-n], starts[-1]
    window = (round(first * NS), round(last * NS))
    batches = batch_sums((ends * NS).astype(np.int64), None, *window)
    yield "rate", rate(batches, float(last - first), n, n), 0.0


def _width(estimate: Estimate) -> float:
    if estimate.low is None or estimate.high is None:
        return 0.0
    return estimate.high - estimate.low


def _cell(model: Model, n: int, figure: str, found: list[tuple[Estimate, float]]) -> Cell:
    truth = 0.9 if figure == "goodput" else getattr(model.truth, figure)
    shown = [(each, width) for each, width in found if each.low is not None]
    held = sum(each.low <= truth <= (each.high or np.inf) for each, _ in shown)  # type: ignore[operator]
    return Cell(
        model.name,
        n,
        figure,
        len(found),
        len(shown),
        held,
        float(np.mean([_width(each) for each, _ in shown])) if shown else 0.0,
        float(np.mean([width for _, width in shown])) if shown else 0.0,
    )


def table(cells: list[Cell]) -> str:
    """A Markdown table, one row a model and size: coverage in percent (share shown, where not all)."""
    lines = [f"| model | n | {' | '.join(FIGURES)} |", "|---|---" + "|---" * len(FIGURES) + "|"]
    keys = dict.fromkeys((cell.model, cell.n) for cell in cells)
    by_key = {(cell.model, cell.n, cell.figure): cell for cell in cells}
    for model, n in keys:
        texts = [_text(by_key[model, n, figure]) for figure in FIGURES]
        lines.append(f"| {model} | {n:,} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _text(cell: Cell) -> str:
    if cell.coverage is None:
        return "-"
    text = f"{100 * cell.coverage:.0f}"
    return (
        text if cell.shown == cell.windows else f"{text} ({100 * cell.shown / cell.windows:.0f} %)"
    )


def truths() -> str:
    """The truths that no theory gives, from long simulations."""
    lines = []
    for model in MODELS:
        kept = []
        for seed in range(3):
            _, durations = model.simulate(np.random.default_rng((SEED, seed)), 100, 10_000)
            kept.append(durations[:, -10_000:].ravel())
        values = np.concatenate(kept)
        quantiles = np.quantile(values, [0.5, 0.9, 0.95], method="inverted_cdf")
        lines.append(f"{model.name}: {np.round(quantiles, 4)} mean {values.mean():.4f}")
    return "\n".join(lines)


def main(words: list[str], say: Callable[[str], None] = print) -> int:
    """`coverage [--windows N] [--truths]`; exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks coverage", description=__doc__)
    parser.add_argument("--windows", type=int, default=WINDOWS, help="windows a model")
    parser.add_argument("--truths", action="store_true", help="simulate the truths instead")
    asked = parser.parse_args(words)
    if asked.truths:
        say(truths())
        return 0
    say(table([cell for model in MODELS for cell in study(model, asked.windows)]))
    return 0
