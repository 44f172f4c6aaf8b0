"""What a probe answers: three pages of JSON, the same for the server and for who reads it.

Instants are nanoseconds of the probe's own realtime clock; its reader moves them to its own.
"""

import msgspec

from observatory.core.sample import Sample

PROTOCOL = 1
MOST_SAMPLES = 5000
"""Of one response; a client that is behind sends another request."""
MOST_BYTES = 8 << 20
"""Of an answer that is read: five thousand samples with long reasons have a quarter."""


class ProbeAbout(msgspec.Struct, frozen=True):
    """GET /about. instance is another at every start; host is null unless it was configured to name it.

    next is the number that its next sample gets. standing: the samples that hold for all others: how often
    the GPUs' sensors change. watches: the process of the engine is known.
    """

    protocol: int
    instance: str
    observatory: str
    interval_s: float
    sensors: list[str]
    next: int
    standing: list[Sample]
    watches: bool = False
    host: str | None = None
    driver: str | None = None


class ClockReading(msgspec.Struct, frozen=True):
    """GET /clock: both clocks of the probe's host, read together."""

    realtime_ns: int
    monotonic_ns: int


class Batch(msgspec.Struct, frozen=True):
    """GET /samples?since=N: the samples numbered from N (or from first, if later) up to before next."""

    instance: str
    first: int
    next: int
    samples: list[Sample]
