"""Synthetic prompts: lengths as drawn, text of that many words and stops, seeded."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.errors import BadInput
from observatory.core.scenario import Fixed, LogNormal, SyntheticWorkload, Uniform
from observatory.workload.draws import UniformStream
from observatory.workload.synthetic import lengths, synthetic_prompt_items, text_of

WORDS = ["alpha", "beta", "gamma"]


def _workload(**fields: object) -> SyntheticWorkload:
    return SyntheticWorkload.model_validate(
        {
            "kind": "synthetic",
            "prompt_tokens": {"distribution": "fixed", "tokens": 40},
            "output_tokens": {"distribution": "uniform", "low": 5, "high": 9},
            "items": 6,
            **fields,
        }
    )


def _units(text: str) -> int:
    return len(re.findall(r"[A-Za-z]+|\.", text))


@given(st.integers(1, 600), st.integers(0, 10**9))
def test_a_text_has_as_many_words_and_stops_as_asked(tokens: int, seed: int) -> None:
    text = text_of(tokens, WORDS, UniformStream(seed, "words"))
    assert _units(text) == tokens
    assert text[0].isupper()


def test_asks_carry_their_lengths_and_ids() -> None:
    asks = synthetic_prompt_items(_workload(), seed=7)
    assert [ask.prompt_id for ask in asks] == [f"synthetic-7-0000{n}" for n in range(6)]
    assert all(ask.prompt_tokens == 40 == _units(ask.prompt or "") for ask in asks)
    assert {ask.max_tokens for ask in asks} <= {5, 6, 7, 8, 9}
    assert len({ask.prompt for ask in asks}) == 6


def test_the_same_seed_writes_the_same_text_and_another_seed_another() -> None:
    first, again, other = (synthetic_prompt_items(_workload(), seed) for seed in (1, 1, 2))
    assert first == again
    assert {ask.prompt for ask in first}.isdisjoint({ask.prompt for ask in other})


def test_no_two_prompts_share_a_long_beginning() -> None:
    prompts = [ask.prompt or "" for ask in synthetic_prompt_items(_workload(items=300), seed=1)]
    openings = {" ".join(prompt.split()[:4]) for prompt in prompts}
    assert len(openings) == 300


def test_uniform_lengths_reach_both_ends_evenly() -> None:
    drawn = lengths(
        Uniform(distribution="uniform", low=3, high=7), 20_000, UniformStream(1, "prompt lengths")
    )
    counts = np.bincount(drawn)[3:]
    assert counts.sum() == 20_000
    assert len(counts) == 5
    assert np.all(np.abs(counts - 4000) < 4 * math.sqrt(4000))


def test_lognormal_lengths_have_the_median_and_p95_that_were_asked_for() -> None:
    distribution = LogNormal(distribution="lognormal", median=200, p95=800)
    drawn = lengths(distribution, 20_000, UniformStream(1, "prompt lengths"))
    assert np.quantile(drawn, 0.5) == pytest.approx(200, rel=0.03)
    assert np.quantile(drawn, 0.95) == pytest.approx(800, rel=0.05)


@settings(max_examples=40)
@given(st.integers(1, 3000), st.integers(0, 3000), st.integers(0, 500), st.integers(0, 10**6))
def test_lognormal_lengths_stay_between_one_and_high(
    median: int, above: int, room: int, seed: int
) -> None:
    distribution = LogNormal(
        distribution="lognormal", median=median, p95=median + above, high=median + room
    )
    drawn = lengths(distribution, 50, UniformStream(seed, "prompt lengths"))
    assert all(1 <= length <= median + room for length in drawn)


def test_fixed_lengths_are_fixed() -> None:
    assert lengths(Fixed(distribution="fixed", tokens=9), 3, UniformStream(1, "x")) == [9, 9, 9]


def test_more_text_than_a_worker_should_hold_is_refused() -> None:
    workload = _workload(items=300, prompt_tokens={"distribution": "fixed", "tokens": 100_000})
    with pytest.raises(BadInput, match=r"30,000,000 tokens together, the most is 20,000,000"):
        synthetic_prompt_items(workload, seed=1)
