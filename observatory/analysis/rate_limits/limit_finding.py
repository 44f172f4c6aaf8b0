"""The ceiling that a saturated service keeps, from which attempts it let in and when. Pure.

It takes attempts by the instant they were sent, and knows nothing of runs, files and targets.

While the demand is above the allowance, a limiter is in the same state each time it lets something
in again after a refusal: its bucket has just enough, or its window has just begun. So what is let in
between the first and the last of these openings, over the time between them, is the allowance,
by any mechanism: the burst lies before the first opening and counts for nothing.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from observatory.analysis.statistics.distributions import student_quantile

MINUTE_S = 60.0
CONFIDENCE = 0.95
BATCHES = 10
"""Cycles are put together to about this many batches, whose spread is that of the rate: enough for
Student's t, few enough that neighbours hardly depend on each other (Law, Simulation Modeling and
Analysis, "batch means")."""
LEAST_REFUSED = 0.1
"""With a smaller share refused while it is measured, the demand was hardly above what is allowed,
and single refusals for another reason would pass for a ceiling."""
CLOSED_FOR = 3.0
"""A bucket lets in again as soon as one request has refilled. Where refusing lasts this many times
longer, it is no bucket but a window that has to end."""
SAVES_UP = 2.0
"""A bucket that holds fewer requests than this runs over while it waits for the next attempt, up to a
gap between attempts in every cycle: what it would let in at more attempts is not known better."""

Mechanism = Literal["refill", "window"]
WindowFrom = Literal["measured", "told", "assumed"]
Unfound = Literal["never_refused", "hardly_refused", "too_short", "nothing_let_in"]


@dataclass(frozen=True, slots=True)
class LimitedAttempts:
    """Attempts that were let in or refused for a limit, in any order; all arrays of one length.

    sent_s: on one clock. amount: what it takes of the allowance (1, or tokens). stated_s: the wait that a
    refusal stated, nan where it stated none.
    """

    sent_s: NDArray[np.float64]
    let_in: NDArray[np.bool_]
    amount: NDArray[np.float64]
    stated_s: NDArray[np.float64]

    def in_order(self) -> "LimitedAttempts":
        """Return the same by the instant sent."""
        order = np.argsort(self.sent_s, kind="stable")
        return LimitedAttempts(
            self.sent_s[order], self.let_in[order], self.amount[order], self.stated_s[order]
        )


@dataclass(frozen=True, slots=True)
class FoundLimit:
    """What is allowed a minute, with its 95 % interval; where it was not found, why.

    burst: refill, what was let in at first beyond the rate (the bucket, if it was full when the
    probe began); window, the allowance of one. cycles: openings that the rate rests on. excluded_below: a
    limit below this much a minute would have refused what was let in, in whichever way it counts.
    """

    a_minute: float | None
    low: float | None = None
    high: float | None = None
    mechanism: Mechanism | None = None
    burst: float | None = None
    window_s: float | None = None
    window_from: WindowFrom | None = None
    cycles: int = 0
    excluded_below: float = 0.0
    reason: Unfound | None = None


class RetryAdvice(msgspec.Struct, frozen=True):
    """Whether refusals stated the true wait. refusals: those of which it can be known.

    enough: the share after which, once the wait was over, something was let in. stated_s, real_s: medians
    of the wait that was stated (JSON: told_s) and of the time until the next one was let in.
    """

    refusals: int
    enough: float | None = None
    stated_s: float | None = msgspec.field(default=None, name="told_s")
    real_s: float | None = None


def find_ceiling(attempts: LimitedAttempts) -> FoundLimit:
    """Return the ceiling of attempts at one demand, or of several stages that follow on each other closely."""
    ordered = attempts.in_order()
    least = excluded_below(ordered)
    if ordered.let_in.all():
        return FoundLimit(None, excluded_below=least, reason="never_refused")
    openings = np.flatnonzero(ordered.let_in[1:] & ~ordered.let_in[:-1]) + 1
    if not len(openings) or not ordered.amount[openings[0] :][ordered.let_in[openings[0] :]].all():
        return FoundLimit(None, excluded_below=least, reason="nothing_let_in")
    closed_s = _closed_s(ordered, openings)
    long = closed_s > _patience_s(ordered)
    if closed_s[long].sum() > closed_s.sum() / 2:
        return _windows(ordered, openings[long], least)
    return _bucket(ordered, openings, least)


def _closed_s(ordered: LimitedAttempts, openings: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how long nothing had been let in when it opened; from the first attempt on, where nothing ever was."""
    entries = np.flatnonzero(ordered.let_in)
    before = np.searchsorted(entries, openings) - 1
    since = np.where(before >= 0, entries[before], 0)
    return np.asarray(ordered.sent_s[openings] - ordered.sent_s[since])


def _patience_s(ordered: LimitedAttempts) -> float:
    """Return the seconds: longer than this no bucket refuses, by what was let in since the first refusal."""
    first = int(np.argmin(ordered.let_in))
    seconds = float(ordered.sent_s[-1] - ordered.sent_s[first])
    rate = float(ordered.amount[first:][ordered.let_in[first:]].sum()) / max(seconds, 1e-9)
    return CLOSED_FOR * (_one(ordered) / rate + _gap(ordered))


def _windows(ordered: LimitedAttempts, openings: NDArray[np.int64], least: float) -> FoundLimit:
    """Return the ceiling by windows: an opening is the beginning of one.

    A single refusal at its edges is none: attempts that are sent closely may arrive in another order.
    """
    if len(openings) == 1:
        return _one_window(ordered, int(openings[0]), least)
    rate, half, _ = _between(ordered, openings)
    window_s = float(np.median(np.diff(ordered.sent_s[openings])))
    cycles = len(openings) - 1
    return _ceiling(rate, half, "window", rate * window_s, cycles, least, window_s, "measured")


def _bucket(ordered: LimitedAttempts, openings: NDArray[np.int64], least: float) -> FoundLimit:
    """Return a bucket that refills all the time."""
    if len(openings) == 1:
        return FoundLimit(None, excluded_below=least, reason="too_short")
    first, last = int(openings[0]), int(openings[-1])
    if float(np.mean(~ordered.let_in[first:last])) < LEAST_REFUSED:
        return FoundLimit(None, excluded_below=least, reason="hardly_refused")
    rate, half, seconds = _between(ordered, openings)
    cycles, one = len(openings) - 1, _one(ordered)
    # What was let in before the first refusal, beyond the rate.
    refused = int(np.argmin(ordered.let_in))
    earned = rate * (ordered.sent_s[refused] - ordered.sent_s[0])
    burst = max(0.0, float(ordered.amount[:refused].sum() - earned))
    found = _ceiling(rate, half, "refill", burst, cycles, least)
    if burst >= SAVES_UP * one:
        return found
    lost_s = cycles * _gap(ordered)
    fastest = rate * seconds / max(seconds - lost_s, seconds / 2)  # a cycle is of two gaps or more
    return replace(found, high=(fastest + half) * MINUTE_S)


def _between(ordered: LimitedAttempts, openings: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return what was let in a second from the first to the last opening, half its interval, and the seconds."""
    taken = np.where(ordered.let_in, ordered.amount, 0.0)
    first, last = int(openings[0]), int(openings[-1])
    seconds = float(ordered.sent_s[last] - ordered.sent_s[first])
    rate = float(taken[first:last].sum()) / seconds
    rounding = (_one(ordered) + rate * _gap(ordered)) / seconds
    return rate, max(_spread(ordered, openings, taken, rate), rounding), seconds


def _ceiling(
    rate: float,
    half: float,
    mechanism: Mechanism,
    burst: float,
    cycles: int,
    least: float,
    window_s: float | None = None,
    window_from: WindowFrom | None = None,
) -> FoundLimit:
    """Make the ceiling: rates a second become rates a minute."""
    return FoundLimit(
        a_minute=rate * MINUTE_S,
        low=max(0.0, rate - half) * MINUTE_S,
        high=(rate + half) * MINUTE_S,
        mechanism=mechanism,
        burst=burst,
        window_s=window_s,
        window_from=window_from,
        cycles=cycles,
        excluded_below=least,
    )


def _one_window(ordered: LimitedAttempts, opening: int, least: float) -> FoundLimit:
    """Return the ceiling of one opening: a whole window's allowance, if it was used up again afterwards.

    The waits of the refusals after it give the window's length; without them a minute is assumed.
    """
    used_up = int(np.flatnonzero(ordered.let_in)[-1])
    if float(ordered.sent_s[-1] - ordered.sent_s[used_up]) <= _patience_s(ordered):
        return FoundLimit(None, excluded_below=least, reason="too_short")
    allowance = float(ordered.amount[opening:][ordered.let_in[opening:]].sum())
    waits = ordered.stated_s[used_up + 1 :]
    known = np.isfinite(waits)
    window_s, unsure_s = MINUTE_S, _gap(ordered)
    if known.any():
        ends = ordered.sent_s[used_up + 1 :] + waits
        window_s = float(np.median(ends[known])) - float(ordered.sent_s[opening])
        if bool(np.all(np.mod(waits[known], 1.0) == 0)):
            unsure_s = max(unsure_s, 1.0)  # waits in whole seconds are rounded up
    rate = allowance / window_s
    half = (_one(ordered) + rate * unsure_s) / window_s
    source: WindowFrom = "told" if known.any() else "assumed"
    return _ceiling(rate, half, "window", allowance, 1, least, window_s, source)


def _spread(
    ordered: LimitedAttempts, openings: NDArray[np.int64], taken: NDArray[np.float64], rate: float
) -> float:
    """Return half the interval of the rate, by the spread between batches of cycles; 0 for a single cycle.

    A batch is a ratio of what was let in to its time, so that the variance is the ratio estimator's
    (Cochran, Sampling Techniques, 2.11).
    """
    cycles = len(openings) - 1
    batches = min(BATCHES, cycles)
    if batches < 2:
        return 0.0
    edges = openings[np.linspace(0, cycles, batches + 1).round().astype(int)]
    sums = np.array([taken[a:b].sum() for a, b in pairwise(edges)])
    seconds = np.diff(ordered.sent_s[edges])
    off = sums - rate * seconds
    error = float(np.sqrt(batches / (batches - 1) * np.sum(off**2)) / seconds.sum())
    return student_quantile((1 + CONFIDENCE) / 2, batches - 1) * error


def _one(ordered: LimitedAttempts) -> float:
    """Return what a usual request takes."""
    return float(np.median(ordered.amount[ordered.let_in]))


def _gap(ordered: LimitedAttempts) -> float:
    """Return seconds between two attempts: no instant of the limiter is known better."""
    return float(np.median(np.diff(ordered.sent_s))) if len(ordered.sent_s) > 1 else 0.0


def excluded_below(attempts: LimitedAttempts) -> float:
    """Return a limit a minute that what was let in rules out: a bucket that holds a minute's allowance lets in
    L (1 + T / 60 s) in T seconds, minute windows at most L (2 + T / 60 s), two of them touched."""
    ordered = attempts.in_order()
    at = ordered.sent_s[ordered.let_in]
    total = np.concatenate(([0.0], np.cumsum(ordered.amount[ordered.let_in])))
    most = 0.0
    for place in range(len(at)):
        within = total[place + 1 :] - total[place]
        most = max(most, float(np.max(within / (2 + (at[place:] - at[place]) / MINUTE_S))))
    return most


def retry_advice(attempts: LimitedAttempts) -> RetryAdvice:
    """Compare the waits that refusals stated with when the service really let in again.

    Left out: a refusal whose wait was not over, and nothing was let in, when the data end.
    """
    ordered = attempts.in_order()
    if not len(ordered.sent_s):
        return RetryAdvice(0)
    stated = ~ordered.let_in & np.isfinite(ordered.stated_s)
    entries = ordered.sent_s[ordered.let_in]
    sent, wait = ordered.sent_s[stated], ordered.stated_s[stated]
    place = np.searchsorted(entries, sent, side="right")
    padded = np.append(entries, np.inf)
    real = padded[place] - sent
    until = float(ordered.sent_s[-1])
    known = np.isfinite(real) | (sent + wait < until)
    if not known.any():
        return RetryAdvice(0)
    slack = 2 * _gap(ordered)  # an attempt has to fall due before it can be let in
    enough = real[known] <= wait[known] + slack
    let_in = real[known][np.isfinite(real[known])]
    return RetryAdvice(
        refusals=int(known.sum()),
        enough=float(np.mean(enough)),
        stated_s=float(np.median(wait[known])),
        real_s=float(np.median(let_in)) if len(let_in) else None,
    )
