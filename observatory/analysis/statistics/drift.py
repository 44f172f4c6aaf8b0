"""Did the target change while it was measured? A robust comparison of a window's halves.

Pure: instants and latencies in, the relative change out, None where noise explains it.
"""

import numpy as np
from numpy.typing import NDArray

BLOCKS = 20
BLOCK_SIZE = 3
"""Least requests in a block: neighbours in time share queues and batches, so that blocks' medians
are compared and not requests, as in batch means (Law, Simulation Modeling and Analysis, 9.5.3)."""
MIN_BLOCKS = 14
"""Seven against seven: the fewest whose complete separation is significant at SIGNIFICANCE."""
SIGNIFICANCE = 0.001
"""Two metrics in each of many stages are tested; one false alarm in a thousand tests is wanted."""
OVERLAPPING = 0.2
"""Halves of 7 to 10 blocks differ at SIGNIFICANCE only where less than this share of their pairs is out of order."""


def relative_drift(instants_ns: NDArray[np.int64], values: NDArray[np.float64]) -> float | None:
    """Return the second half's median against the first's, minus 1, if the halves differ; else None.

    values are latencies by instants (any order). The requests, in the order of time, make up to
    BLOCKS equal blocks; the medians of the first and second half's blocks are compared by the exact
    test of Mann and Whitney (Annals of Mathematical Statistics 18, 1947).
    """
    blocks = min(BLOCKS, len(values) // BLOCK_SIZE) // 2 * 2
    if blocks < MIN_BLOCKS:
        return None
    ordered = values[np.argsort(instants_ns, kind="stable")]
    parts = np.array_split(ordered, blocks)
    medians = np.array([np.median(part) for part in parts])
    half = blocks // 2
    if not _differ(medians[:half], medians[half:]):
        return None
    first = float(np.median(np.concatenate(parts[:half])))
    second = float(np.median(np.concatenate(parts[half:])))
    return second / first - 1 if first > 0 else None


def _differ(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Return whether the exact test of Mann and Whitney finds a difference at SIGNIFICANCE."""
    pairs = np.sign(second[:, None] - first[None, :])
    below = float((pairs.sum() + pairs.size) / (2 * pairs.size))
    if OVERLAPPING < below < 1 - OVERLAPPING:
        return False
    from scipy import stats  # takes a second, and is seldom needed

    return bool(stats.mannwhitneyu(first, second, method="exact").pvalue < SIGNIFICANCE)
