"""How far another machine's clock is from ours, and how sure that is: pure functions and one memory.

An offset is remote minus local realtime. Every figure carries a bound, never a guess: as long as a
clock drifts no faster than MOST_DRIFT, the truth lies within the uncertainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_DRIFT = 500e-6
"""The fastest that Linux lets a time daemon slew a clock (MAXFREQ, 500 parts in a million, ntp_adjtime
of the kernel's timex.h); a free-running crystal is off by a tenth of it."""


@dataclass(frozen=True, slots=True)
class ClockExchange:
    """One question for the remote time. sent_ns and answered_ns are local, remote_ns was in between."""

    sent_ns: int
    answered_ns: int
    remote_ns: int

    @property
    def round_trip_ns(self) -> int:
        """Return how long it took."""
        return self.answered_ns - self.sent_ns


@dataclass(frozen=True, slots=True)
class Offset:
    """Remote minus local at the local instant at_ns, true to within uncertainty_ns."""

    at_ns: int
    offset_ns: int
    uncertainty_ns: int
    round_trip_ns: int


def offset_of(exchange: ClockExchange) -> Offset:
    """Return the offset at the exchange's middle.

    The remote clock was read at some moment of the round trip; the middle is off by half of it at
    most, however the way there and the way back differ (RFC 5905, section 8, with one remote stamp).
    """
    middle = (exchange.sent_ns + exchange.answered_ns) // 2
    half = -(-exchange.round_trip_ns // 2)
    return Offset(
        at_ns=middle,
        offset_ns=exchange.remote_ns - middle,
        uncertainty_ns=half + _drift(half) + 1,
        round_trip_ns=exchange.round_trip_ns,
    )


def best_offset(exchanges: Sequence[ClockExchange]) -> Offset:
    """Return the offset of the shortest round trip, which bounds it best; at least one exchange."""
    return offset_of(min(exchanges, key=lambda exchange: exchange.round_trip_ns))


def _drift(span_ns: int) -> int:
    return int(abs(span_ns) * MOST_DRIFT) + 1


class RemoteClock:
    """The remote clock as its last measured offset shows it; measured again, it follows a drift."""

    def __init__(self) -> None:
        self._last: Offset | None = None

    @property
    def known(self) -> bool:
        """Return whether an offset was measured."""
        return self._last is not None

    def learn(self, offset: Offset) -> str | None:
        """Take a newer offset; answers what is odd about it where one of the clocks stepped."""
        before, self._last = self._last, offset
        if before is None:
            return None
        moved = offset.offset_ns - before.offset_ns
        allowed = (
            before.uncertainty_ns + offset.uncertainty_ns + _drift(offset.at_ns - before.at_ns)
        )
        if abs(moved) <= allowed:
            return None
        return f"one of the two clocks stepped by {moved / 1e9:+.6f} s since the last measurement"

    def to_local(self, remote_ns: int) -> int:
        """Return the local instant of a remote one; only once an offset is known."""
        assert self._last is not None
        return remote_ns - self._last.offset_ns

    def uncertainty_ns(self, local_ns: int) -> int:
        """Return how far to_local may be off at a local instant: it grows away from the measurement."""
        assert self._last is not None
        return self._last.uncertainty_ns + _drift(local_ns - self._last.at_ns)
