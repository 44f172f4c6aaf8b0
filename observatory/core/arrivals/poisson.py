"""Poisson arrivals: independent exponential gaps."""

from typing import ClassVar, Literal

from observatory.core.arrivals.process import OpenLoop, UniformSource, before

_BLOCK = 4096
"""Gaps drawn at once. Fixed, so that a longer stage has a shorter one's offsets as its beginning."""


class PoissonArrivals(OpenLoop):
    """Requests leave after exponential gaps of mean 1 / rate, the first one before request 0."""

    kind: Literal["poisson"]
    label: ClassVar[str] = "open loop, Poisson"

    def draw(self, draws: UniformSource, rate_per_s: float, length_s: float) -> list[int]:
        """Return the offsets, from one uniform each by the inverse of the distribution."""
        import numpy as np  # here: reading a scenario must not wait for it

        offsets: list[int] = []
        at_s = 0.0
        while at_s < length_s:
            gaps_s = -np.log1p(-draws.uniforms(_BLOCK)) / rate_per_s
            instants_s = at_s + np.cumsum(gaps_s)
            at_s = float(instants_s[-1])
            offsets += before(np.rint(instants_s * 1e9).astype(np.int64), length_s)
        return offsets
