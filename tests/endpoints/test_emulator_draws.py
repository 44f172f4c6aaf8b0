"""The emulator's luck: known quantiles, then that a request's fate depends on itself alone."""

import random
from collections import Counter
from statistics import median, quantiles
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.emulation.profile import Profile
from observatory.emulator import draws as emulator_draws
from observatory.emulator.draws import DrawnAnswer, ServerDraws, answer_words, lognormal


def profile(**fields: Any) -> Profile:
    return Profile.model_validate(fields)


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


def drawn_gaps(draws: ServerDraws, fate: DrawnAnswer) -> list[float]:
    gap = draws.gaps(fate.gaps_seed)
    return [gap() for _ in range(fate.tokens - 1)]


def test_many_draws_have_the_profiles_quantiles() -> None:
    draws = ServerDraws(
        profile(
            ttft_median="200ms",
            ttft_p95="400ms",
            inter_token_median="20ms",
            inter_token_p95="40ms",
            output_tokens_median=32,
            output_tokens_p95=64,
        )
    )
    fates = [draws.draw(b"%d" % number, limit=None) for number in range(2000)]
    first = [fate.ttft_s for fate in fates]
    gaps = [gap for fate in fates for gap in drawn_gaps(draws, fate)]
    lengths = [fate.tokens for fate in fates]
    assert median(first) == pytest.approx(0.2, rel=0.03)
    assert quantiles(first, n=20)[18] == pytest.approx(0.4, rel=0.06)
    assert median(gaps) == pytest.approx(0.02, rel=0.02)
    assert quantiles(gaps, n=20)[18] == pytest.approx(0.04, rel=0.02)
    assert median(lengths) == pytest.approx(32, abs=1)
    assert quantiles(lengths, n=20)[18] == pytest.approx(64, rel=0.06)
    assert sum(gaps) / len(gaps) == pytest.approx(draws.mean_gap_s, rel=0.01)


def test_a_steady_profile_is_exact() -> None:
    steady = {"ttft_median": "100ms", "ttft_p95": "100ms"}
    gaps = {"inter_token_median": "10ms", "inter_token_p95": "10ms"}
    draws = ServerDraws(profile(**steady, **gaps, output_tokens_median=5, output_tokens_p95=5))
    for number in range(20):
        fate = draws.draw(b"%d" % number, limit=None)
        assert (fate.ttft_s, fate.tokens) == (0.1, 5)
        assert drawn_gaps(draws, fate) == [0.01] * 4


def test_a_tail_lengthens_the_share_that_it_says() -> None:
    tail = {"ttft": 0.1, "inter_token": 0.05, "factor": 10}
    exact = {"ttft_median": "100ms", "ttft_p95": "100ms"}
    gaps = {"inter_token_median": "10ms", "inter_token_p95": "10ms"}
    draws = ServerDraws(profile(**exact, **gaps, tail=tail))
    fates = [draws.draw(b"%d" % number, limit=None) for number in range(3000)]
    assert {fate.ttft_s for fate in fates} == {0.1, 1.0}
    assert sum(fate.ttft_s == 1.0 for fate in fates) == pytest.approx(300, abs=50)
    drawn = [gap for fate in fates for gap in drawn_gaps(draws, fate)]
    assert set(drawn) == {0.01, 0.1}
    assert sum(gap == 0.1 for gap in drawn) / len(drawn) == pytest.approx(0.05, rel=0.05)
    assert draws.mean_gap_s == pytest.approx(0.01 * 1.45)


def test_a_requests_fate_is_its_own_whatever_comes_before_it() -> None:
    alone, busy = ServerDraws(profile()), ServerDraws(profile())
    for number in range(50):
        busy.draw(b"other %d" % number, limit=None)
    assert alone.draw(b"mine", limit=64) == busy.draw(b"mine", limit=64)


def test_a_prompt_asked_again_is_drawn_again_and_reproducibly() -> None:
    one, other = ServerDraws(profile()), ServerDraws(profile())
    first = [one.draw(b"same", limit=64) for _ in range(5)]
    assert first == [other.draw(b"same", limit=64) for _ in range(5)]
    assert len({fate.ttft_s for fate in first}) == 5
    assert len({tuple(drawn_gaps(one, fate)) for fate in first}) == 5


def test_another_seed_is_another_fate() -> None:
    assert ServerDraws(profile(seed=1)).draw(b"x", limit=8) != ServerDraws(profile(seed=2)).draw(
        b"x", limit=8
    )


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_draws, "REMEMBERED_BODIES", 2)
    draws = ServerDraws(profile())
    first = draws.draw(b"a", limit=8)
    draws.draw(b"b", limit=8)
    draws.draw(b"c", limit=8)
    assert draws.draw(b"a", limit=8) == first


def test_faults_come_at_their_rates() -> None:
    draws = ServerDraws(profile(faults={"http_500": 0.1, "reset": 0.3, "no_done": 0.05}))
    faults = Counter(draws.draw(b"%d" % number, limit=1).fault for number in range(4000))
    assert faults["http_500"] == pytest.approx(400, abs=60)
    assert faults["reset"] == pytest.approx(1200, abs=90)
    assert faults["no_done"] == pytest.approx(200, abs=45)
    assert set(faults) == {"http_500", "reset", "no_done", None}
    every = ServerDraws(profile(faults={"stall": 0.5, "http_429": 0.5}))
    assert {every.draw(b"%d" % n, limit=1).fault for n in range(50)} == {"stall", "http_429"}


@given(
    body=st.binary(),
    limit=st.one_of(st.none(), st.integers(1, 200)),
    whole=st.booleans(),
    thinks=st.booleans(),
)
def test_a_limit_cuts_the_answer_and_changes_nothing_else(
    body: bytes, limit: int | None, whole: bool, thinks: bool
) -> None:
    reasoning = {"tokens_median": 20, "tokens_p95": 60} if thinks else {}
    free = ServerDraws(profile(reasoning=reasoning)).draw(body, limit=None)
    cut = ServerDraws(profile(reasoning=reasoning)).draw(body, limit=limit, fills_limit=whole)
    assert (cut.ttft_s, cut.gaps_seed, cut.words_seed) == (
        free.ttft_s,
        free.gaps_seed,
        free.words_seed,
    )
    total, wanted = cut.reasoning_tokens + cut.tokens, free.reasoning_tokens + free.tokens
    if limit is None:
        assert cut == free
        assert cut.finished == "stop"
    elif whole:
        assert total == limit
        assert cut.finished == "length"
    else:
        assert total == min(limit, wanted)
        assert cut.reasoning_tokens == min(limit, free.reasoning_tokens)
        assert (cut.finished == "length") == (wanted > limit)


def test_answers_talk_about_the_question() -> None:
    words = answer_words(7, "Which label fits: billing, outage or praise? 123", 40)
    assert words == answer_words(7, "Which label fits: billing, outage or praise? 123", 40)
    assert len(words) == 40
    assert set(words) <= {"Which", "label", "fits", "billing", "outage", "or", "praise"}
    assert len(answer_words(7, "12 + 30 = ?", 3)) == 3


def test_multibyte_answers_have_characters_of_every_length() -> None:
    words = answer_words(7, "plain words", 200, multibyte=True)
    assert {len(letter.encode()) for word in words for letter in word} == {1, 2, 3, 4}
