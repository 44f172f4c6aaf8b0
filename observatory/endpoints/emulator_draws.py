"""What the emulator will do with a request, drawn before it starts; pure, it knows no socket.

A draw is a function of the profile's seed, the request's own bytes and how many times those bytes
have come before. So the same plan meets the same delays whatever the order and concurrency of
arrival, while a prompt that is asked twice is not answered twice in the same time.
"""

import hashlib
import math
import random
import re
from collections import OrderedDict
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from observatory.core.target import LatencyProfile

REMEMBERED_BODIES = 65_536
"""Bodies whose number of arrivals is kept; the longest unseen is forgotten and starts again at 0."""

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.95)
_SMALLEST = 2.0**-53
_WORD = re.compile(r"[^\W\d_]{2,}")
_VOCABULARY_FROM = 2_000
_FILLER = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "as",
    "with",
    "on",
    "be",
    "at",
    "by",
    "this",
    "from",
    "or",
    "an",
    "are",
    "not",
    "have",
    "which",
]


@dataclass(frozen=True, slots=True)
class Draw:
    """One request's fate. token_offsets_s are seconds from its start to each token, ascending.

    error and throttle have no tokens; an error is answered after error_delay_s, a throttle at once.
    finished: "stop" where the drawn length fits the limit, else "length".
    """

    outcome: Literal["answer", "error", "throttle"]
    token_offsets_s: list[float]
    finished: Literal["stop", "length"]
    error_delay_s: float
    words_seed: int


class Draws:
    """Draws for one server: the profile, and how often each body came."""

    def __init__(self, profile: LatencyProfile) -> None:
        self._profile = profile
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def draw(self, body: bytes, *, limit: int | None, whole_limit: bool = False) -> Draw:
        """The fate of the next request with this body; whole_limit: exactly `limit` tokens."""
        digest = hashlib.blake2b(body, digest_size=8).digest()
        occurrence = self._seen.pop(digest, 0)
        self._seen[digest] = occurrence + 1
        if len(self._seen) > REMEMBERED_BODIES:
            self._seen.popitem(last=False)
        key = f"emulator/{self._profile.seed}/{digest.hex()}/{occurrence}".encode()
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
        return draw(self._profile, random.Random(seed), limit, whole_limit)


def draw(
    profile: LatencyProfile, generator: random.Random, limit: int | None, whole_limit: bool
) -> Draw:
    """One draw from a profile; limit is the most output tokens, None for none."""
    luck = generator.random()
    words_seed = generator.getrandbits(64)
    ttft_s = lognormal(generator, profile.ttft_median, profile.ttft_p95)
    length = round(lognormal(generator, profile.output_tokens_median, profile.output_tokens_p95))
    if luck < profile.error_fraction + profile.throttle_fraction:
        error = luck < profile.error_fraction
        return Draw("error" if error else "throttle", [], "stop", ttft_s, words_seed)
    tokens = max(1, length)
    cut = limit is not None and (whole_limit or tokens > limit)
    if limit is not None and cut:
        tokens = limit
    at = ttft_s
    offsets = [at]
    for _ in range(tokens - 1):
        at += lognormal(generator, profile.inter_token_median, profile.inter_token_p95)
        offsets.append(at)
    return Draw("answer", offsets, "length" if cut else "stop", 0.0, words_seed)


def lognormal(generator: random.Random, median: float, p95: float) -> float:
    """A log-normal draw by median and 95th percentile; zero where the median is.

    By the inverse of the distribution function, because of Python's generators only `random()` is
    promised to give the same numbers in every version.
    """
    if median == 0:
        return 0.0
    sigma = math.log(p95 / median) / _Z95
    return median * math.exp(sigma * _NORMAL.inv_cdf(max(generator.random(), _SMALLEST)))


def answer_words(seed: int, asked: str, count: int) -> list[str]:
    """`count` words, seeded, from the end of what was asked (common words where that has none).

    So an answer reads like talk about the question in its own language and is sometimes right by
    luck; it is filler all the same, and its scores say nothing.
    """
    words = _WORD.findall(asked[-_VOCABULARY_FROM:]) or _FILLER
    generator = random.Random(seed)
    return [words[int(generator.random() * len(words))] for _ in range(count)]
