"""Every measure by its name, in the order in which `all` runs them."""

from collections.abc import Callable
from functools import partial

from benchmarks.bench import Bench
from benchmarks.measures import (
    ceiling,
    late_client,
    memory,
    open_loop,
    peers_beside,
    sdk,
    start,
    telemetry,
    truth,
    two_processes,
)
from benchmarks.results import Measurement

STREAMS = (1, 64, 256, 512, 1000)

MEASURES: dict[str, Callable[[Bench], Measurement]] = {
    "ceiling": ceiling.measure,
    **{f"truth-{streams}": partial(truth.measure, streams=streams) for streams in STREAMS},
    "truth-64-bare": partial(truth.measure, streams=64, bare=True),
    "late-client": late_client.measure,
    "open-constant": partial(open_loop.measure, arrivals="constant"),
    "open-poisson": partial(open_loop.measure, arrivals="poisson"),
    "open-poisson-two-processes": partial(open_loop.measure, arrivals="poisson", processes=2),
    "start": start.measure,
    "processes": two_processes.measure,
    "memory": memory.measure,
    "telemetry": telemetry.measure,
    "sdk": sdk.measure,
    "peers-truth": peers_beside.measure,
}
