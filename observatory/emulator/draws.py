"""Draw how the emulator will serve a request, before it starts. Pure: no socket.

A draw is a function of the profile's seed, the request's own bytes and the number of earlier requests
with those bytes. So the same plan gets the same delays in any order and at any concurrency of
arrival, while a repeated prompt gets other delays than the first time.
"""

import hashlib
import math
import random
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from observatory.core.emulation.profile import Profile

REMEMBERED_BODIES = 65_536
"""Bodies whose number of arrivals is kept; the longest unseen is forgotten and starts again at 0."""
GAP_TABLE = 4096
"""Equally likely gaps that the gaps between tokens are drawn from: a draw in 0.1 us, not in 1.5."""

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
_MULTIBYTE = ["né", "straße", "мир", "値段", "응답", "שלום", "नमस्ते", "🙂", "👩‍🚀", "e\u0301té"]
"""Two, three and four bytes a character, right to left, joined and combining ones."""


@dataclass(frozen=True, slots=True)
class DrawnAnswer:
    """One request's random draws. ttft_s is without prefill, load and drift; tokens are of the answer.

    finished: "stop" where the drawn length fits the limit, else "length". strike, in [0, 1), is the
    share of the answer after which a fault occurs.
    """

    fault: str | None
    ttft_s: float
    reasoning_tokens: int
    tokens: int
    finished: Literal["stop", "length"]
    strike: float
    words_seed: int
    gaps_seed: int


class ServerDraws:
    """Draws for one server: the profile, and how often each body came."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        self._faults = [(kind, rate) for kind, rate in profile.faults.rates() if rate > 0]
        self._gaps = gap_table(profile)
        tail = profile.tail
        self.mean_gap_s = (
            sum(self._gaps) / len(self._gaps) * (1 + tail.inter_token * (tail.factor - 1))
        )

    def draw(self, body: bytes, *, limit: int | None, fills_limit: bool = False) -> DrawnAnswer:
        """Return the fate of the next request with this body; fills_limit: exactly `limit` tokens."""
        digest = hashlib.blake2b(body, digest_size=8).digest()
        occurrence = self._seen.pop(digest, 0)
        self._seen[digest] = occurrence + 1
        if len(self._seen) > REMEMBERED_BODIES:
            self._seen.popitem(last=False)
        key = f"emulator/{self._profile.seed}/{digest.hex()}/{occurrence}".encode()
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
        return self._fate(random.Random(seed), limit, fills_limit)

    def gaps(self, seed: int) -> Callable[[], float]:
        """Return a function that gives the gap before each next token, in seconds, before load and drift."""
        table, tail = self._gaps, self._profile.tail
        if len(table) == 1 and not tail.inter_token:
            only = table[0]
            return lambda: only
        luck = random.Random(seed).random
        size = len(table)
        if not tail.inter_token:
            return lambda: table[int(luck() * size)]
        chance, factor = tail.inter_token, tail.factor
        return lambda: table[int(luck() * size)] * (factor if luck() < chance else 1.0)

    def _fate(self, generator: random.Random, limit: int | None, fills_limit: bool) -> DrawnAnswer:
        profile = self._profile
        luck, strike = generator.random(), generator.random()
        words_seed, gaps_seed = generator.getrandbits(64), generator.getrandbits(64)
        ttft_s = lognormal(generator, profile.ttft_median, profile.ttft_p95)
        if generator.random() < profile.tail.ttft:
            ttft_s *= profile.tail.factor
        reasoning = round(
            lognormal(generator, profile.reasoning.tokens_median, profile.reasoning.tokens_p95)
        )
        tokens = max(
            1,
            round(lognormal(generator, profile.output_tokens_median, profile.output_tokens_p95)),
        )
        cut = limit is not None and (fills_limit or reasoning + tokens > limit)
        if limit is not None and cut:
            reasoning = min(reasoning, limit)
            tokens = limit - reasoning
        return DrawnAnswer(
            fault=self._fault(luck),
            ttft_s=ttft_s,
            reasoning_tokens=reasoning,
            tokens=tokens,
            finished="length" if cut else "stop",
            strike=strike,
            words_seed=words_seed,
            gaps_seed=gaps_seed,
        )

    def _fault(self, luck: float) -> str | None:
        for kind, rate in self._faults:
            if luck < rate:
                return kind
            luck -= rate
        return None


def gap_table(profile: Profile) -> list[float]:
    """Return equally likely gaps, in seconds: the middles of GAP_TABLE slices of the log-normal."""
    median, p95 = profile.inter_token_median, profile.inter_token_p95
    if median == p95:
        return [median]
    sigma = math.log(p95 / median) / _Z95
    return [
        median * math.exp(sigma * _NORMAL.inv_cdf((place + 0.5) / GAP_TABLE))
        for place in range(GAP_TABLE)
    ]


def lognormal(generator: random.Random, median: float, p95: float) -> float:
    """Return a log-normal draw by median and 95th percentile; zero where the median is.

    By the inverse of the distribution function, because of Python's generators only `random()` is
    promised to give the same numbers in every version.
    """
    luck = max(generator.random(), _SMALLEST)
    if median == p95:
        return median
    return median * math.exp(math.log(p95 / median) / _Z95 * _NORMAL.inv_cdf(luck))


def answer_words(seed: int, prompt: str, count: int, *, multibyte: bool = False) -> list[str]:
    """Return `count` words, seeded, from the end of the prompt (common words where that has none).

    So an answer resembles the prompt's topic and language and is sometimes right by
    chance; it is filler, and its scores mean nothing. multibyte: words of characters of
    several bytes instead.
    """
    words = _MULTIBYTE if multibyte else _WORD.findall(prompt[-_VOCABULARY_FROM:]) or _FILLER
    luck, size = random.Random(seed).random, len(words)
    return [words[int(luck() * size)] for _ in range(count)]
