"""How many requests a second an emulated server can answer, computed from its profile. Pure."""

import math
from statistics import NormalDist

from observatory.core.emulation.profile import Profile
from observatory.emulator.draws import ServerDraws
from observatory.emulator.load import load_factor

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.95)
_LONGEST = 200_000
"""Tokens above which a length's probability is neglected."""


def capacity_rps(
    profile: Profile, *, max_tokens: int | None = None, prompt_tokens: float = 0.0
) -> float | None:
    """Return the requests/s that leave a saturated server; None where the profile does not determine it.

    Every slot is busy all the time, so capacity is slots / mean service time, where a service is
    the prefill of prompt_tokens, the first token and the gaps of a full batch (M/G/k at saturation).
    max_tokens: the limit that requests carry. A lower limit of requests a minute replaces this
    capacity. Not determined: no slots and no such limit, drift, faults, cached prompts that depend on
    their order, or tokens a minute (which depend on the prompts).
    """
    uncertain = (
        profile.drift.per_minute > 0
        or any(rate > 0 for _, rate in profile.faults.rates())
        or profile.limits.tokens_per_minute is not None
        or (profile.prompt_cache.kind == "prefix" and profile.prefill_per_token > 0)
    )
    if uncertain:
        return None
    bounds = []
    if profile.slots is not None:
        service_s = mean_service_s(profile, max_tokens=max_tokens, prompt_tokens=prompt_tokens)
        bounds.append(profile.slots / service_s if service_s > 0 else math.inf)
    if profile.limits.requests_per_minute is not None:
        bounds.append(profile.limits.requests_per_minute / 60)
    return min(bounds, default=None)


def mean_service_s(
    profile: Profile, *, max_tokens: int | None = None, prompt_tokens: float = 0.0
) -> float:
    """Return the mean seconds that a request holds its slot while all slots are busy."""
    gap_s = ServerDraws(profile).mean_gap_s * load_factor(profile.slowdown, profile.slots or 1)
    cached = profile.prompt_cache.fraction if profile.prompt_cache.kind == "fraction" else 0.0
    prefill_s = profile.prefill_per_token * prompt_tokens * (1 - cached)
    first_s = lognormal_mean(profile.ttft_median, profile.ttft_p95)
    first_s *= 1 + profile.tail.ttft * (profile.tail.factor - 1)
    gaps = mean_gaps(profile, max_tokens)
    return prefill_s + first_s + gaps * gap_s


def mean_gaps(profile: Profile, max_tokens: int | None) -> float:
    """Return the mean number of gaps in an answer: its tokens, reasoning included, less one.

    With reasoning and a limit together it is an upper bound by the means, not exact.
    """
    reasoning = profile.reasoning
    thought = lognormal_mean(reasoning.tokens_median, reasoning.tokens_p95)
    room = None if max_tokens is None else max(0.0, max_tokens - thought)
    answer = _mean_length(profile.output_tokens_median, profile.output_tokens_p95, room)
    total = thought + answer
    return max(0.0, (total if max_tokens is None else min(total, max_tokens)) - 1)


def lognormal_mean(median: float, p95: float) -> float:
    """Return the mean of a log-normal by its median and 95th percentile."""
    if median == p95:
        return median
    sigma = math.log(p95 / median) / _Z95
    return median * math.exp(sigma * sigma / 2)


def _mean_length(median: int, p95: int, limit: float | None) -> float:
    """Return the mean of max(1, round(log-normal)), cut at limit: the sum of P(length >= k)."""
    if median == p95:
        return float(median) if limit is None else min(float(median), limit)
    sigma = math.log(p95 / median) / _Z95
    last = _LONGEST if limit is None else int(limit)
    total = min(1.0, float(last))
    for length in range(2, last + 1):
        above = 1 - _NORMAL.cdf(math.log((length - 0.5) / median) / sigma)
        total += above
        if above < 1e-9:
            break
    return total
