"""Queues in virtual time, whose true quantiles are known: what the intervals are held against.

Pure: a generator and sizes in; requests by window (one row an independent window) out. Times are in
mean service times.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri

from observatory.core.counted_nouns import count_of

Array = NDArray[np.float64]
Windows = tuple[Array, Array]
"""Starts and durations, one row a window, requests in the order of their starts."""
Services = Callable[[np.random.Generator, tuple[int, int]], Array]
"""Draws service times, or gaps between arrivals, of a shape."""


def exponential(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Service times of mean 1."""
    return rng.exponential(1.0, shape)


def constant(_: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Service times of 1."""
    return np.ones(shape)


def heavy_tailed(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Lognormal service times of mean 1 whose logarithm has standard deviation 1."""
    return rng.lognormal(-0.5, 1.0, shape)


def two_classes(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Service times of mean 1: nine of ten requests take 0.5 on average, one takes 5.5."""
    return np.where(rng.random(shape) < 0.9, 0.5, 5.5) * rng.exponential(1.0, shape)


def poisson(load: float) -> Services:
    """Gaps between arrivals of this rate."""
    return lambda rng, shape: rng.exponential(1 / load, shape)


def on_off(rate: float, on: float, off: float) -> Services:
    """Gaps of a Poisson stream that is on for `on` on average, then silent for `off` (both exponential)."""

    def gaps(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        silences = rng.geometric(rate / (rate + 1 / on), shape) - 1
        return rng.gamma(silences + 1, 1 / (rate + 1 / on)) + off * rng.gamma(silences)

    return gaps


def single_server(
    rng: np.random.Generator, windows: int, n: int, arrivals: Services, services: Services
) -> Windows:
    """A queue with independent gaps and one server, by Lindley's recursion, after 8,000 requests."""
    size = (windows, n + 8000)
    gaps, service = arrivals(rng, size), services(rng, size)
    steps = np.cumsum(service[:, :-1] - gaps[:, 1:], axis=1)
    walk = np.concatenate([np.zeros((windows, 1)), steps], axis=1)
    waits = walk - np.minimum.accumulate(walk, axis=1)
    return np.cumsum(gaps, axis=1), waits + service


def many_servers(
    rng: np.random.Generator, windows: int, n: int, load: float, servers: int
) -> Windows:
    """The same with exponential service and several servers, after 4,000 requests."""
    size = (windows, n + 4000)
    starts = np.cumsum(rng.exponential(1 / (load * servers), size), axis=1)
    return starts, _served(starts, exponential(rng, size), servers)


def _served(starts: Array, services: Array, servers: int) -> Array:
    free, row = np.zeros((len(starts), servers)), np.arange(len(starts))
    durations = np.empty_like(starts)
    for place in range(starts.shape[1]):
        first = free.argmin(axis=1)
        end = np.maximum(free[row, first], starts[:, place]) + services[:, place]
        free[row, first] = end
        durations[:, place] = end - starts[:, place]
    return durations


def batching(rng: np.random.Generator, windows: int, n: int, rate: float) -> Windows:
    """An engine that takes up to 8 waiting requests as a batch, which end together, after 1,000.

    A batch of k takes a lognormal time x (1 + k / 10).
    """
    size, row, most = n + 1000, np.arange(windows), np.arange(8)
    starts = np.cumsum(rng.exponential(1 / rate, (windows, size)), axis=1)
    durations = np.empty_like(starts)
    head, free = np.zeros(windows, dtype=np.int64), np.zeros(windows)
    while (head < size).any():
        begin = np.maximum(free, starts[row, np.minimum(head, size - 1)])
        places = np.minimum(head[:, None] + most, size - 1)
        taken = starts[row[:, None], places] <= begin[:, None]
        taken &= head[:, None] + most < size
        count = taken.sum(axis=1)
        end = begin + rng.lognormal(0, 0.3, windows) * (1 + count / 10)
        free = np.where(head < size, end, free)
        which, column = np.nonzero(taken)
        chosen = places[which, column]
        durations[which, chosen] = end[which] - starts[which, chosen]
        head += count
    return starts, durations


def closed_loop(
    rng: np.random.Generator, windows: int, n: int, users: int, servers: int = 1
) -> Windows:
    """Users without think time before exponential servers, after 2,000 requests."""
    size, row = (windows, n + 2000), np.arange(windows)
    ready, free = np.zeros((windows, users)), np.zeros((windows, servers))
    services, starts, durations = exponential(rng, size), np.empty(size), np.empty(size)
    for place in range(size[1]):
        user, server = ready.argmin(axis=1), free.argmin(axis=1)
        start = ready[row, user]
        end = np.maximum(free[row, server], start) + services[:, place]
        free[row, server] = ready[row, user] = end
        starts[:, place], durations[:, place] = start, end - start
    return starts, durations


def drifting(rng: np.random.Generator, windows: int, n: int, memory: float) -> Windows:
    """One user after whose request the next one follows at once; the logarithm of the service time is a
    first-order autoregression with this coefficient and standard deviation 0.3."""
    noise = rng.normal(0, 1, (windows, n))
    noise[:, 1:] *= np.sqrt(1 - memory**2)
    durations = np.exp(0.3 * lfilter([1.0], [1.0, -memory], noise, axis=1))
    return np.cumsum(durations, axis=1) - durations, durations


def independent(rng: np.random.Generator, windows: int, n: int, open_requests: float) -> Windows:
    """A service without a queue: Poisson arrivals, lognormal times, so many requests open on average."""
    starts = np.cumsum(rng.exponential(1 / open_requests, (windows, n + 600)), axis=1)
    return starts, rng.lognormal(-0.125, 0.5, starts.shape)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a window estimates: quantiles and mean of a request's duration, requests a unit of time."""

    p50: float
    p90: float
    p95: float
    mean: float
    rate: float


@dataclass(frozen=True, slots=True)
class Model:
    """A queue and its truth, exact but for the batching engine's, which is simulated (3,000 windows of
    10,000 requests); `python -m benchmarks coverage --truths` holds them against simulations.

    M/G/1: the transform of Pollaczek and Khinchine (Kleinrock, Queueing Systems I, 5.7), inverted on a
    grid of 0.0005. M/M/8: Erlang's C. Closed loops: who comes finds all other users there, so that a
    duration is a sum of exponentials: of as many as users, or at 8 servers of 56 of an eighth and one.
    """

    name: str
    simulate: Callable[[np.random.Generator, int, int], Windows]
    truth: Truth
    independent: bool = False
    """Whether the requests' durations are independent."""


def _mm1(load: float) -> Model:
    p50, p90, p95 = (-float(np.log(1 - p)) / (1 - load) for p in (0.5, 0.9, 0.95))
    truth = Truth(p50, p90, p95, 1 / (1 - load), load)
    return Model(
        f"M/M/1, load {load}",
        lambda rng, windows, n: single_server(rng, windows, n, poisson(load), exponential),
        truth,
    )


def _mg1(name: str, load: float, services: Services, *truth: float) -> Model:
    return Model(
        f"{name}, load {load}",
        lambda rng, windows, n: single_server(rng, windows, n, poisson(load), services),
        Truth(*[*truth, load]),
    )


def _bursty(rate: float, on: float, off: float) -> Model:
    """On-off arrivals at one exponential server: a GI/M/1 queue, whose waits are exponential with the
    root of x = A(1 - x), A the gaps' Laplace transform (Kleinrock, Queueing Systems I, 6.4)."""
    end, root = 1 / on, 0.5
    for _ in range(10_000):
        s = 1 - root
        step = 1 / (rate + end + s)
        root = rate * step / (1 - end * step / (1 + off * s))
    p50, p90, p95 = (-float(np.log(1 - p)) / (1 - root) for p in (0.5, 0.9, 0.95))
    load = rate * on / (on + off)
    return Model(
        f"on-off arrivals, load {load:g}",
        lambda rng, windows, n: single_server(rng, windows, n, on_off(rate, on, off), exponential),
        Truth(p50, p90, p95, 1 / (1 - root), load),
    )


def _drifting(memory: float) -> Model:
    p50, p90, p95 = (float(np.exp(0.3 * ndtri(p))) for p in (0.5, 0.9, 0.95))
    mean = float(np.exp(0.045))
    return Model(
        f"drifting service, memory {memory}",
        lambda rng, windows, n: drifting(rng, windows, n, memory),
        Truth(p50, p90, p95, mean, 1 / mean),
    )


def _mm8(load: float, *truth: float) -> Model:
    return Model(
        f"M/M/8, load {load}",
        lambda rng, windows, n: many_servers(rng, windows, n, load, 8),
        Truth(*[*truth, 8 * load]),
    )


def _batching(rate: float, *truth: float) -> Model:
    return Model(
        f"batching engine, {rate} requests a time",
        lambda rng, windows, n: batching(rng, windows, n, rate),
        Truth(*[*truth, rate]),
    )


def _closed(users: int, servers: int, *truth: float) -> Model:
    return Model(
        f"closed loop, {count_of(users, 'user')}, {count_of(servers, 'server')}",
        lambda rng, windows, n: closed_loop(rng, windows, n, users, servers),
        Truth(*[*truth, float(min(users, servers))]),
        independent=users == servers == 1,
    )


MODELS: tuple[Model, ...] = (
    _mm1(0.3),
    _mm1(0.7),
    _mm1(0.9),
    _mg1("M/D/1", 0.3, constant, 1.0, 1.8377, 2.0708, 1 + 0.3 / 1.4),
    _mg1("M/D/1", 0.7, constant, 1.7298, 4.0771, 5.1029, 1 + 0.7 / 0.6),
    _mg1("M/D/1", 0.9, constant, 4.0130, 11.7825, 15.1287, 5.5),
    _mm8(0.3, 0.6939, 2.3034, 2.9965, 1.0006),
    _mm8(0.7, 0.8169, 2.4742, 3.1705, 1.1128),
    _mm8(0.9, 1.4894, 3.9575, 4.9252, 1.8769),
    _batching(2.1, 2.1117, 3.2528, 3.6553, 2.2121),
    _batching(3.4, 2.7868, 4.7325, 5.4958, 3.0333),
    _closed(1, 1, float(np.log(2)), float(np.log(10)), float(np.log(20)), 1.0),
    _closed(8, 1, 7.6693, 11.7709, 13.1481, 8.0),
    _closed(64, 1, 63.6670, 74.4426, 77.7024, 64.0),
    _closed(64, 8, 7.8415, 9.7599, 10.4684, 8.0),
    _bursty(1.0, 10, 10),
    _drifting(0.95),
    _mg1("lognormal service", 0.7, heavy_tailed, 2.3216, 10.2946, 14.2923, 4.1713),
    _mg1("two classes", 0.5, two_classes, 1.0820, 13.0086, 18.9775, 4.25),
    Model(
        "independent, 64 open",
        lambda rng, windows, n: independent(rng, windows, n, 64),
        Truth(0.8825, 1.6749, 2.0087, 1.0, 64),
        independent=True,
    ),
)
