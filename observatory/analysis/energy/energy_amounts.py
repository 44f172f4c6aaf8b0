"""What a window's energy is divided by: requests that ended and tokens that arrived in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.rates import arrived, scheduled
from observatory.analysis.stage_data import StageData
from observatory.analysis.statistics.bootstrap import WINDOWS
from observatory.analysis.statistics.proportions import batch_sums
from observatory.analysis.windows import Window


@dataclass(frozen=True, slots=True)
class EnergyDivisor:
    """What an energy is divided by, over its own window.

    total: None where it is not known; empty: why there is no figure where it is 0; ended: requests that
    ended in the window, with any outcome; requests: successes. parts: the total by equal parts of
    the window, offered: the requests scheduled in each; None where the total is not known.
    """

    total: float | None
    empty: str
    ended: int
    requests: int
    parts: NDArray[np.float64] | None = None
    offered: NDArray[np.float64] | None = None


def ended_requests(data: StageData, window: Window) -> EnergyDivisor:
    """Return the successes that ended in the window."""
    succeeded = data.ended_ok(window)
    ends = succeeded.get_column("a_ended_ns").to_numpy().astype(np.int64)
    return _amount(data, window, ends, None, float(len(ends)), "no_successes")


def arrived_tokens(data: StageData, window: Window) -> EnergyDivisor:
    """Return the streamed tokens that arrived in the window."""
    total = arrived(data, data.events.tokens, window)
    instants, weights = data.events.arrival_ns, data.events.tokens
    return _amount(data, window, instants, weights, total, "no_tokens")


def _amount(
    data: StageData,
    window: Window,
    instants: NDArray[np.int64],
    weights: NDArray[np.float32] | None,
    total: float | None,
    empty: str,
) -> EnergyDivisor:
    ended = int(data.requests.select(window.holds("a_ended_ns").sum()).item())
    requests = data.ended_ok(window).height
    if not total:
        return EnergyDivisor(total, empty, ended, requests)
    parts = batch_sums(instants, weights, window.start_ns, window.end_ns, WINDOWS)
    return EnergyDivisor(total, empty, ended, requests, parts, scheduled(data, window, WINDOWS))
