"""Every measure by its name, in the order in which `all` runs them."""

from collections.abc import Callable
from functools import partial

from benchmarks.bench import Bench
from benchmarks.measures import ceiling, truth
from benchmarks.results import Measurement

MEASURES: dict[str, Callable[[Bench], Measurement]] = {
    "ceiling": ceiling.measure,
    **{
        f"truth-{streams}": partial(truth.measure, streams=streams)
        for streams in (1, 64, 256, 512, 1000)
    },
}
