"""How often the 95 % intervals hold the truth: `python -m benchmarks coverage` prints the tables.

Pure and seeded: every window is a queue in virtual time (benchmarks.queues). Of each model, window
size and figure: the share of windows that show the figure, and the share of the intervals shown that
hold the truth; the same for differences between two windows of one model, whose truth is 0.
"""

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from scipy import stats

from benchmarks.queues import MODELS, Array, Model
from observatory.analysis.comparison.two_runs import difference
from observatory.analysis.statistics import proportions, quantiles
from observatory.analysis.statistics.estimate import Estimate
from observatory.analysis.statistics.proportions import batch_sums, batches_too_short, rate
from observatory.analysis.statistics.series import Ordered, share
from observatory.core.metric import MEAN_FLOOR

SIZES = (200, 1000, 5000)
WINDOWS = 500
SEED = 2026
FIGURES = ("p50", "p90", "p95", "mean", "goodput", "rate")
COMPARED = ("p50", "p90", "mean", "goodput", "rate")
"""Figures whose difference between two windows is in the second table."""
WANTED = (0.92, 0.97)
RARELY = 0.05
"""A figure that fewer windows show counts as not shown."""
CERTAINTY = 0.99
"""Of the binomial interval of a cell's coverage, which has to reach WANTED."""
WIDER = 1.15
"""Intervals of independent values may be so many times as wide as the textbook's."""
NS = 1e9

Verdict = Literal["not shown", "holds", "too low", "too high"]
Figure = tuple[Estimate, float]
"""An estimate, and how wide the textbook's interval for independent values is."""


@dataclass(frozen=True, slots=True)
class Cell:
    """windows (for differences: pairs) tried, in how many the figure was shown with an interval, and how
    many of those held the truth; mean widths of the intervals shown, and of the textbook's there."""

    model: str
    n: int
    figure: str
    difference: bool
    windows: int
    shown: int
    held: int
    width: float
    independent_width: float

    @property
    def coverage(self) -> float | None:
        """Of those shown; None where none was."""
        return self.held / self.shown if self.shown else None

    @property
    def verdict(self) -> Verdict:
        """Whether the coverage may be one of WANTED, by the exact binomial interval (Clopper and
        Pearson, Biometrika 26, 1934) of as many windows as show the figure."""
        if self.shown < RARELY * self.windows:
            return "not shown"
        tail, missed = (1 - CERTAINTY) / 2, self.shown - self.held
        if float(stats.beta.isf(tail, self.held + 1, missed)) < WANTED[0] if missed else False:
            return "too low"
        if float(stats.beta.ppf(tail, self.held, missed + 1)) > WANTED[1] if self.held else False:
            return "too high"
        return "holds"


def study(model: Model, windows: int, sizes: tuple[int, ...] = SIZES) -> Iterator[Cell]:
    """The cells of one model; a size's windows are the ends of the largest size's."""
    starts, durations = model.simulate(np.random.default_rng(SEED), windows, max(sizes))
    for n in sizes:
        found: dict[str, list[Figure]] = {figure: [] for figure in FIGURES}
        for start, duration in zip(starts, durations, strict=True):
            for figure, estimate, independent in _estimates(model, start, duration, n):
                found[figure].append((estimate, _width(independent)))
        for figure, each in found.items():
            truth = 0.9 if figure == "goodput" else getattr(model.truth, figure)
            yield _cell(model, n, figure, each, truth)
        for figure in COMPARED:
            half = windows // 2
            pairs = zip(found[figure][:half], found[figure][half : 2 * half], strict=True)
            changes = [(difference(one, other), 0.0) for (one, _), (other, _) in pairs]
            yield _cell(model, n, figure, changes, 0.0, of_two=True)


def _estimates(
    model: Model, starts: Array, durations: Array, n: int
) -> Iterator[tuple[str, Estimate, Estimate]]:
    """Each figure over the last n requests, and as it is for independent values."""
    ends = np.sort(starts + durations)
    opened = np.arange(len(starts)) - np.searchsorted(ends, starts, "right")
    values = durations[-n:]
    ordered = Ordered(values, opened[-n:].astype(np.float64))
    for statistic in ("p50", "p90", "p95"):
        exact = quantiles.percentile(ordered.ascending, statistic)
        yield statistic, ordered.percentile(statistic), exact
    yield "mean", ordered.mean(), quantiles.mean(values)
    good = values <= model.truth.p90
    exact = proportions.share(int(good.sum()), n)
    yield "goodput", share(good, ordered.dependence, floor=MEAN_FLOOR, wanted=True), exact
    first, last = starts[-n], starts[-1]
    window = (round(first * NS), round(last * NS))
    instants = (ends[(ends >= first) & (ends < last)] * NS).astype(np.int64)
    batches = batch_sums(instants, None, *window)
    offered = batch_sums((starts * NS).astype(np.int64), None, *window)
    exact, found = (rate(batches, float(last - first), n, n, each) for each in (None, offered))
    if batches_too_short(instants):
        found = replace(found, low=None, high=None)
    yield "rate", found, exact


def _width(estimate: Estimate) -> float:
    if estimate.low is None or estimate.high is None:
        return 0.0
    return estimate.high - estimate.low


def _cell(
    model: Model, n: int, figure: str, found: list[Figure], truth: float, *, of_two: bool = False
) -> Cell:
    shown = [(each, width) for each, width in found if each.low is not None]
    held = sum(
        each.low <= truth <= each.high
        for each, _ in shown
        if each.low is not None and each.high is not None
    )
    return Cell(
        model=model.name,
        n=n,
        figure=figure,
        difference=of_two,
        windows=len(found),
        shown=len(shown),
        held=held,
        width=float(np.mean([_width(each) for each, _ in shown])) if shown else 0.0,
        independent_width=float(np.mean([width for _, width in shown])) if shown else 0.0,
    )


def tables(cells: list[Cell]) -> str:
    """Three Markdown tables: figures, differences, and the widths for independent values; then what lies
    outside WANTED, and the coverage over all cells of a size."""
    alone, of_two = ([c for c in cells if c.difference is both] for both in (False, True))
    return "\n".join(
        [
            _table(alone, FIGURES, _text),
            "",
            "Differences between two windows:",
            "",
            _table(of_two, COMPARED, _text),
            "",
            "Widths over the textbook's:",
            "",
            _table([c for c in alone if c.model in INDEPENDENT], FIGURES, _width_text),
            "",
            *_outside(cells),
        ]
    )


INDEPENDENT = tuple(model.name for model in MODELS if model.independent)


def _table(cells: list[Cell], figures: tuple[str, ...], text: Callable[[Cell], str]) -> str:
    lines = [f"| model | n | {' | '.join(figures)} |", "|---|---" + "|---" * len(figures) + "|"]
    by_key = {(cell.model, cell.n, cell.figure): cell for cell in cells}
    for model, n in dict.fromkeys((cell.model, cell.n) for cell in cells):
        texts = [text(by_key[model, n, figure]) for figure in figures]
        lines.append(f"| {model} | {n:,} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _text(cell: Cell) -> str:
    """Coverage in percent, and the share of windows that show the figure, where not all do."""
    if cell.coverage is None:
        return "-"
    share_shown = f"{100 * cell.shown / cell.windows:.0f} %"
    if cell.verdict == "not shown":
        return f"- ({share_shown})"
    text = f"{100 * cell.coverage:.0f}"
    if cell.verdict in ("too low", "too high"):
        text = f"**{text}**"
    return text if cell.shown == cell.windows else f"{text} ({share_shown})"


def _width_text(cell: Cell) -> str:
    return f"{cell.width / cell.independent_width:.2f}" if cell.independent_width else "-"


def _outside(cells: list[Cell]) -> Iterator[str]:
    for cell in cells:
        if cell.verdict in ("too low", "too high"):
            what = f"difference of {cell.figure}" if cell.difference else cell.figure
            yield (
                f"{cell.verdict}: {cell.model}, n {cell.n:,}, {what}: {cell.held} of {cell.shown}"
            )
    for n in dict.fromkeys(cell.n for cell in cells):
        yield f"over all that n {n:,} shows: {100 * pooled(cells, n):.1f} %"


def pooled(cells: list[Cell], n: int) -> float:
    """Return the coverage over all intervals of a size, of all cells."""
    mine = [cell for cell in cells if cell.n == n]
    return sum(cell.held for cell in mine) / max(1, sum(cell.shown for cell in mine))


def truths(model: Model) -> str:
    """How far a long simulation (300 windows of 10,000 requests) is from the stated truths, in standard
    errors between windows, with what it finds itself."""
    kept = [
        model.simulate(np.random.default_rng((SEED, seed)), 100, 10_000)[1][:, -10_000:]
        for seed in range(3)
    ]
    values = np.concatenate(kept)
    words = []
    for p, name in ((0.5, "p50"), (0.9, "p90"), (0.95, "p95")):
        below = (values <= getattr(model.truth, name) * (1 + 1e-9)).mean(axis=1)
        off = (float(below.mean()) - p) / float(below.std(ddof=1)) * np.sqrt(len(below))
        found = float(np.quantile(values, p, method="inverted_cdf"))
        words.append(f"{name} {found:.4f} ({off:+.1f})")
    means = values.mean(axis=1)
    off = (float(means.mean()) - model.truth.mean) / float(means.std(ddof=1)) * np.sqrt(len(means))
    return f"{model.name}: {', '.join(words)}, mean {means.mean():.4f} ({off:+.1f})"


def main(words: list[str], report: Callable[[str], None] = print) -> int:
    """`coverage [--windows N] [--truths] [--processes N]`; exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks coverage", description=__doc__)
    parser.add_argument("--windows", type=int, default=WINDOWS, help="windows a model")
    parser.add_argument("--truths", action="store_true", help="simulate the truths instead")
    parser.add_argument("--processes", type=int, default=1, help="models studied at a time")
    arguments = parser.parse_args(words)
    with ProcessPoolExecutor(arguments.processes) as pool:
        if arguments.truths:
            for line in pool.map(truths_of, range(len(MODELS))):
                report(line)
            return 0
        each = pool.map(partial(cells_of, arguments.windows), range(len(MODELS)))
        report(tables([cell for cells in each for cell in cells]))
    return 0


def cells_of(windows: int, place: int) -> list[Cell]:
    """The cells of the model at a place of MODELS (whose simulations another process cannot be sent)."""
    return list(study(MODELS[place], windows))


def truths_of(place: int) -> str:
    """The line of truths of the model at a place of MODELS."""
    return truths(MODELS[place])
