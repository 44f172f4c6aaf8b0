"""A figure of one cell of a matrix over its blocks, and its change against the first cell's.

Pure. The same answers as the view matrix_comparison gives: mean and range over the blocks, and the
mean of the changes within each block with Student's interval. One block has no interval.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from observatory.analysis.statistics.distributions import student_quantile
from observatory.analysis.statistics.estimate import CONFIDENCE
from observatory.core.metric import FOREIGN_CPU_APART

FIRST_CELL = "the first cell: the others are compared with it"
NO_PAIR = "no block has a value of this cell and of the first"
NOT_FINITE = "a value is infinite, or the first cell's is zero: no change"
FOREIGN = "other work took shares of the machine that differ by more than 10 % of it: no change"
STREAMS = "the answers of one came as streams and those of the other at once: no change"
ONE_BLOCK = "one block: no interval"

Values = Mapping[int, float]
"""Block -> the figure there; a block without a value is not in it."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """mean, least and most in the figure's unit; change as a share of the first cell's figure.

    note: why change, or its interval, is missing.
    """

    mean: float | None
    least: float | None
    most: float | None
    blocks: int
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    note: str | None = None

    @property
    def differs(self) -> bool:
        """Whether the interval of the change lies wholly on one side of none."""
        if self.change_low is None or self.change_high is None:
            return False
        return self.change_low > 0 or self.change_high < 0


def apart(shares: Values, first: Values) -> frozenset[int]:
    """Return the blocks in which other work took too different shares of the machine from this cell and the first."""
    return frozenset(
        block
        for block in shares
        if block in first and abs(shares[block] - first[block]) > FOREIGN_CPU_APART
    )


def pooled(
    values: Values,
    first: Values | None,
    unlike: frozenset[int] = frozenset(),
    unlike_streams: frozenset[int] = frozenset(),
) -> Pooled:
    """Return the figure over its blocks. first: the first cell's, None where this is the first cell.

    unlike: blocks that make no pair, because of what other work took in them (`apart`); unlike_streams:
    because only one of the two cells was really streamed there.
    """
    found = list(values.values())
    if not found:
        return Pooled(None, None, None, 0, note=FIRST_CELL if first is None else NO_PAIR)
    mean, least, most, blocks = fmean(found), min(found), max(found), len(found)
    if first is None:
        return Pooled(mean, least, most, blocks, note=FIRST_CELL)
    both = [block for block in values if block in first]
    left = [block for block in both if block not in unlike and block not in unlike_streams]
    pairs = [(values[block], first[block]) for block in left]
    if both and not pairs:
        note = STREAMS if unlike_streams.intersection(both) else FOREIGN
        return Pooled(mean, least, most, blocks, note=note)
    if not pairs:
        return Pooled(mean, least, most, blocks, note=NO_PAIR)
    if any(not math.isfinite(mine) or not math.isfinite(base) or base == 0 for mine, base in pairs):
        return Pooled(mean, least, most, blocks, note=NOT_FINITE)
    changes = [mine / base - 1 for mine, base in pairs]
    change = fmean(changes)
    if len(changes) == 1:
        return Pooled(mean, least, most, blocks, change, note=ONE_BLOCK)
    point = student_quantile((1 + CONFIDENCE) / 2, len(changes) - 1)
    half = point * stdev(changes) / math.sqrt(len(changes))
    return Pooled(mean, least, most, blocks, change, change - half, change + half)
