"""Queues in virtual time, whose true quantiles are known: what the intervals are held against.

Pure: a generator and sizes in; requests by window (one row an independent window) out. Times are in
mean service times.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Windows = tuple[Array, Array]
"""Starts and durations, one row a window, requests in the order of their starts."""
Services = Callable[[np.random.Generator, tuple[int, int]], Array]


def exponential(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Service times of mean 1."""
    return rng.exponential(1.0, shape)


def constant(_: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Service times of 1."""
    return np.ones(shape)


def single_server(
    rng: np.random.Generator, windows: int, n: int, load: float, services: Services
) -> Windows:
    """A queue with Poisson arrivals and one server, by Lindley's recursion, after 8,000 requests."""
    size = (windows, n + 8000)
    gaps, service = rng.exponential(1 / load, size), services(rng, size)
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
    """A queue and its truth: exact where theory has it, else `python -m benchmarks coverage --truths`
    (300 windows of 10,000 requests)."""

    name: str
    simulate: Callable[[np.random.Generator, int, int], Windows]
    truth: Truth


def _mm1(load: float) -> Model:
    p50, p90, p95 = (-float(np.log(1 - p)) / (1 - load) for p in (0.5, 0.9, 0.95))
    truth = Truth(p50, p90, p95, 1 / (1 - load), load)
    return Model(
        f"M/M/1, load {load}",
        lambda rng, windows, n: single_server(rng, windows, n, load, exponential),
        truth,
    )


def _md1(load: float, p50: float, p90: float, p95: float) -> Model:
    truth = Truth(p50, p90, p95, 1 + load / (2 * (1 - load)), load)
    return Model(
        f"M/D/1, load {load}",
        lambda rng, windows, n: single_server(rng, windows, n, load, constant),
        truth,
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
        f"closed loop, {users} users, {servers} servers",
        lambda rng, windows, n: closed_loop(rng, windows, n, users, servers),
        Truth(*[*truth, float(min(users, servers))]),
    )


MODELS: tuple[Model, ...] = (
    _mm1(0.3),
    _mm1(0.7),
    _mm1(0.9),
    _md1(0.3, 1.0, 1.8365, 2.0665),
    _md1(0.7, 1.7275, 4.0659, 5.0843),
    _md1(0.9, 3.976, 11.604, 14.874),
    _mm8(0.3, 0.6945, 2.3048, 2.9990, 1.0015),
    _mm8(0.7, 0.8169, 2.4764, 3.1709, 1.1133),
    _mm8(0.9, 1.4879, 3.9326, 4.8756, 1.8673),
    _batching(2.1, 2.1095, 3.2502, 3.6518, 2.2099),
    _batching(3.4, 2.7826, 4.7115, 5.4590, 3.0234),
    _closed(1, 1, float(np.log(2)), float(np.log(10)), float(np.log(20)), 1.0),
    _closed(8, 1, 7.6693, 11.7709, 13.1481, 8.0),
    _closed(64, 1, 63.667, 74.459, 77.710, 64.0),
    _closed(64, 8, 7.843, 9.757, 10.465, 8.0),
    Model(
        "independent, 64 open",
        lambda rng, windows, n: independent(rng, windows, n, 64),
        Truth(0.8825, 1.6749, 2.0087, 1.0, 64),
    ),
)
