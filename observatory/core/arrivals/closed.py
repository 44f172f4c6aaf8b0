"""Closed loop: the number of users is fixed, and the service's speed sets the rate."""

from typing import ClassVar, Literal

from observatory.core.arrivals.process import ArrivalProcess, UniformSource
from observatory.core.units import Duration


class ClosedArrivals(ArrivalProcess):
    """A fixed number of users, each sending its next request when the last one ended."""

    kind: Literal["closed"]
    open_loop: ClassVar[bool] = False
    label: ClassVar[str] = "closed loop: each user sends again when answered"
    think_time: Duration = 0.0

    @property
    def think_time_s(self) -> float:
        """Return think_time."""
        return self.think_time

    def draw(self, draws: UniformSource, rate_per_s: float, length_s: float) -> None:
        """Return None: no instant is planned."""
