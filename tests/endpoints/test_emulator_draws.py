"""The emulator's luck: known quantiles, then that a request's fate depends on itself alone."""

import random
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.target import LatencyProfile
from observatory.endpoints import emulator_draws
from observatory.endpoints.emulator_draws import Draws, answer_words, lognormal


def profile(**fields: Any) -> LatencyProfile:
    return LatencyProfile.model_validate(fields)


class Always(random.Random):
    """A generator whose every draw is this number."""

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self.number = number

    def random(self) -> float:
        return self.number


@pytest.mark.parametrize(
    ("luck", "expected"), [(0.5, 0.2), (0.95, 0.4), (0.05, 0.1), (0.0, 0.0063)]
)
def test_a_lognormal_has_the_median_and_p95_it_is_given(luck: float, expected: float) -> None:
    assert lognormal(Always(luck), 0.2, 0.4) == pytest.approx(expected, rel=0.01)


def test_no_spread_and_no_delay_are_exact() -> None:
    assert lognormal(Always(0.9), 0.1, 0.1) == 0.1
    assert lognormal(Always(0.9), 0.0, 0.0) == 0.0


def test_many_draws_have_the_profiles_quantiles() -> None:
    draws = Draws(
        profile(
            ttft_median="200ms",
            ttft_p95="400ms",
            inter_token_median="20ms",
            inter_token_p95="40ms",
            output_tokens_median=32,
            output_tokens_p95=64,
        )
    )
    drawn = [draws.draw(b"%d" % number, limit=None).token_offsets_s for number in range(2000)]
    first = [offsets[0] for offsets in drawn]
    gaps = [late - early for offsets in drawn for early, late in pairwise(offsets)]
    lengths = [len(offsets) for offsets in drawn]
    assert median(first) == pytest.approx(0.2, rel=0.03)
    assert quantiles(first, n=20)[18] == pytest.approx(0.4, rel=0.06)
    assert median(gaps) == pytest.approx(0.02, rel=0.02)
    assert quantiles(gaps, n=20)[18] == pytest.approx(0.04, rel=0.02)
    assert median(lengths) == pytest.approx(32, abs=1)
    assert quantiles(lengths, n=20)[18] == pytest.approx(64, rel=0.06)


def test_a_requests_fate_is_its_own_whatever_comes_before_it() -> None:
    alone, busy = Draws(profile()), Draws(profile())
    for number in range(50):
        busy.draw(b"other %d" % number, limit=None)
    assert alone.draw(b"mine", limit=64) == busy.draw(b"mine", limit=64)


def test_a_prompt_asked_again_is_drawn_again_and_reproducibly() -> None:
    one, other = Draws(profile()), Draws(profile())
    first = [one.draw(b"same", limit=64) for _ in range(5)]
    assert first == [other.draw(b"same", limit=64) for _ in range(5)]
    assert len({draw.token_offsets_s[0] for draw in first}) == 5


def test_another_seed_is_another_fate() -> None:
    assert Draws(profile(seed=1)).draw(b"x", limit=8) != Draws(profile(seed=2)).draw(b"x", limit=8)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_draws, "REMEMBERED_BODIES", 2)
    draws = Draws(profile())
    first = draws.draw(b"a", limit=8)
    draws.draw(b"b", limit=8)
    draws.draw(b"c", limit=8)
    assert draws.draw(b"a", limit=8) == first


def test_fractions_are_met() -> None:
    draws = Draws(profile(error_fraction=0.1, throttle_fraction=0.3))
    outcomes = [draws.draw(b"%d" % number, limit=1).outcome for number in range(4000)]
    assert outcomes.count("error") == pytest.approx(400, abs=60)
    assert outcomes.count("throttle") == pytest.approx(1200, abs=90)
    every = Draws(profile(error_fraction=0.5, throttle_fraction=0.5))
    assert {every.draw(b"%d" % number, limit=1).outcome for number in range(50)} == {
        "error",
        "throttle",
    }


@given(
    body=st.binary(),
    limit=st.one_of(st.none(), st.integers(1, 200)),
    whole=st.booleans(),
)
def test_a_limit_cuts_the_answer_and_changes_nothing_else(
    body: bytes, limit: int | None, whole: bool
) -> None:
    free = Draws(profile()).draw(body, limit=None).token_offsets_s
    cut = Draws(profile()).draw(body, limit=limit, whole_limit=whole)
    offsets = cut.token_offsets_s
    assert offsets[0] > 0
    assert offsets == sorted(offsets)
    shared = min(len(free), len(offsets))
    assert offsets[:shared] == free[:shared]
    if limit is None:
        assert cut.finished == "stop"
    elif whole:
        assert len(offsets) == limit
        assert cut.finished == "length"
    else:
        assert len(offsets) == min(limit, len(free))
        assert (cut.finished == "length") == (len(free) > limit)


def test_answers_talk_about_the_question() -> None:
    words = answer_words(7, "Which label fits: billing, outage or praise? 123", 40)
    assert words == answer_words(7, "Which label fits: billing, outage or praise? 123", 40)
    assert len(words) == 40
    assert set(words) <= {"Which", "label", "fits", "billing", "outage", "or", "praise"}
    assert len(answer_words(7, "12 + 30 = ?", 3)) == 3
