"""When requests are due in an open-loop stage: offsets in nanoseconds from the stage's start.

Pure: a rate, a length and draws go in, integers come out. Names are true: constant is evenly spaced.
"""

import math

import numpy as np

from observatory.workload.draws import Draws

_BLOCK = 4096
"""Gaps drawn at once. Fixed, so that a longer stage has a shorter one's offsets as its beginning."""


def constant_offsets(rate_per_s: float, length_s: float) -> list[int]:
    """Evenly spaced from 0, request i at i / rate; all before `length_s`."""
    count = math.ceil(rate_per_s * length_s) + 1
    offsets = np.rint(np.arange(count) * (1e9 / rate_per_s)).astype(np.int64)
    return _before(offsets, length_s)


def poisson_offsets(rate_per_s: float, length_s: float, draws: Draws) -> list[int]:
    """A Poisson process: independent exponential gaps of mean 1 / rate, the first one before request 0."""
    offsets: list[int] = []
    at_s = 0.0
    while at_s < length_s:
        gaps_s = -np.log1p(-draws.uniforms(_BLOCK)) / rate_per_s
        instants_s = at_s + np.cumsum(gaps_s)
        at_s = float(instants_s[-1])
        offsets += _before(np.rint(instants_s * 1e9).astype(np.int64), length_s)
    return offsets


def _before(
    offsets: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", length_s: float
) -> list[int]:
    kept: list[int] = offsets[offsets < round(length_s * 1e9)].tolist()
    return kept
