"""Constant arrivals: evenly spaced, as their name promises."""

import math
from typing import ClassVar, Literal

from observatory.core.arrivals.process import OpenLoop, UniformSource, before


class ConstantArrivals(OpenLoop):
    """Requests leave evenly spaced from 0, request i at i / rate."""

    kind: Literal["constant"]
    label: ClassVar[str] = "open loop, evenly spaced"

    def draw(self, draws: UniformSource, rate_per_s: float, length_s: float) -> list[int]:
        """Return the offsets; nothing is drawn."""
        import numpy as np  # here: reading a scenario must not wait for it

        count = math.ceil(rate_per_s * length_s) + 1
        offsets = np.rint(np.arange(count) * (1e9 / rate_per_s)).astype(np.int64)
        return before(offsets, length_s)
