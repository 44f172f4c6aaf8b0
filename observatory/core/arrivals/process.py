"""The traits of every arrival process: whether it is an open loop, its name, when requests are due.

A new process is a file in this folder and a line of `catalogue.ARRIVALS`. Code outside reads the
traits and compares no kind.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import Field

from observatory.core.strict import Strict

if TYPE_CHECKING:  # reading a scenario must not wait for numpy
    import numpy as np
    import numpy.typing as npt


class UniformSource(Protocol):
    """A seeded generator: `uniforms(count)` gives the next `count` numbers in [0, 1)."""

    def uniforms(self, count: int) -> "npt.NDArray[np.float64]":
        """Return the next `count` uniforms."""
        ...


class ArrivalProcess(Strict, ABC):
    """When requests are sent. `kind` is the word that a scenario file selects the process by."""

    kind: str
    open_loop: ClassVar[bool]
    """Whether instants are planned (stages take `rate`), or users send when answered (`concurrency`)."""
    label: ClassVar[str]
    """How a page names it, e.g. "open loop, Poisson"."""

    @property
    def think_time_s(self) -> float:
        """Return seconds that a user waits after an answer; 0 in an open loop."""
        return 0.0

    @property
    def in_flight_limit(self) -> int | None:
        """Requests in flight above which a due request waits; None where users are the limit."""
        return None

    @abstractmethod
    def draw(self, draws: UniformSource, rate_per_s: float, length_s: float) -> list[int] | None:
        """Return ascending offsets in ns from the stage's start, all before `length_s`; None in a closed loop."""


class OpenLoop(ArrivalProcess):
    """Requests leave at planned instants, however long the answers take."""

    open_loop: ClassVar[bool] = True
    max_in_flight: int = Field(
        default=1024, ge=1, description="above this a due request waits, its clock running"
    )

    @property
    def in_flight_limit(self) -> int | None:
        """Return max_in_flight."""
        return self.max_in_flight

    @abstractmethod
    def draw(self, draws: UniformSource, rate_per_s: float, length_s: float) -> list[int]:
        """Return ascending offsets in ns from the stage's start, all before `length_s`."""


def before(offsets_ns: "npt.NDArray[np.int64]", length_s: float) -> list[int]:
    """Return the offsets that lie before `length_s`."""
    kept: list[int] = offsets_ns[offsets_ns < round(length_s * 1e9)].tolist()
    return kept
