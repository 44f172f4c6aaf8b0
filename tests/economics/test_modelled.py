"""EcoLogits' ranges as ledger rows: sums of its own figures, its own errors, its own PUE and no other."""

import pytest
from ecologits.tracers.utils import PROVIDER_CONFIG_MAP, llm_impacts
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.sample import EnergyRow
from observatory.economics.modelled import (
    Answered,
    BilledAnswer,
    modelled_rows,
)
from observatory.providers.catalogue import PROVIDERS

S = 1_000_000_000
MODEL = "gpt-4o-mini"


def _row(
    *answers: BilledAnswer, provider: str = "openai", models: tuple[str, ...] = (MODEL,)
) -> EnergyRow:
    (row,) = modelled_rows(provider, models, [Answered(2, 10 * S, 40 * S, answers)])
    return row


def test_a_row_is_the_sum_of_ecologits_own_ranges() -> None:
    row = _row(BilledAnswer(100, 2.0), BilledAnswer(300, 5.0))
    ranges = [
        llm_impacts("openai", MODEL, tokens, latency_s).energy.value
        for tokens, latency_s in ((100, 2.0), (300, 5.0))
    ]
    assert row.low_j == pytest.approx(3.6e6 * sum(r.min for r in ranges))
    assert row.high_j == pytest.approx(3.6e6 * sum(r.max for r in ranges))
    assert row.energy_j == pytest.approx((row.low_j + row.high_j) / 2)
    assert (row.stage, row.subject, row.scope, row.basis, row.method) == (
        2,
        "target",
        "host",
        "modelled",
        "ecologits",
    )
    assert (row.window_start, row.window_end, row.pue) == (10 * S, 40 * S, None)


def test_its_zone_and_intensity_are_ecologits_own() -> None:
    row = _row(BilledAnswer(100, 2.0))
    assert row.grid_zone == PROVIDER_CONFIG_MAP["openai"].datacenter_location
    gwp = llm_impacts("openai", MODEL, 100, 2.0).usage.gwp.value
    assert row.kgco2e == pytest.approx((gwp.min + gwp.max) / 2)
    assert row.source is not None
    assert "its data centre's PUE" in row.source
    assert "has not been released" in row.source, "EcoLogits' warnings are kept"


def test_an_unknown_model_is_null_in_ecologits_own_words() -> None:
    row = _row(BilledAnswer(100, 2.0), models=("no-such-model",))
    assert (row.energy_j, row.low_j, row.high_j, row.kgco2e) == (None, None, None, None)
    assert row.reason == "EcoLogits: Could not find model `no-such-model` for openai provider."
    assert "groq" in (_row(BilledAnswer(1, 1.0), provider="groq").reason or "")


def test_the_reported_name_helps_where_the_asked_one_is_not_known() -> None:
    assert _row(BilledAnswer(100, 2.0), models=("my-alias", MODEL)).energy_j is not None


def test_answers_without_tokens_are_not_left_out_in_silence() -> None:
    row = _row(BilledAnswer(100, 2.0), BilledAnswer(None, 2.0))
    assert (row.energy_j, row.reason) == (
        None,
        "1 of 2 answers do not say how many tokens they have",
    )


def test_no_answer_is_no_zero() -> None:
    assert (_row().energy_j, _row().reason) == (None, "no answer ended in the window")


def test_every_provider_that_we_name_is_one_of_ecologits() -> None:
    ours = {provider.ecologits_id or name for name, provider in PROVIDERS.items()}
    assert set(PROVIDER_CONFIG_MAP) - ours == {"cohere", "huggingface_hub"}


@given(tokens=st.lists(st.integers(1, 4000), min_size=1, max_size=5))
def test_the_range_adds_up_answer_by_answer(tokens: list[int]) -> None:
    whole = _row(*(BilledAnswer(n, 30.0) for n in tokens))
    parts = [_row(BilledAnswer(n, 30.0)) for n in tokens]
    assert whole.low_j == pytest.approx(sum(part.low_j or 0 for part in parts))
    assert whole.high_j == pytest.approx(sum(part.high_j or 0 for part in parts))
    assert (whole.low_j or 0) <= (whole.energy_j or 0) <= (whole.high_j or 0)
