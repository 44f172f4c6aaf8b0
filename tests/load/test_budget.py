"""The cap holds whatever servers answer: worst cases count until the truth is known."""

from hypothesis import given
from hypothesis import strategies as st

from observatory.core.record import Attempt, Tokens
from observatory.load.budget import Budget
from observatory.load.handoff import Caps

PRICED = Caps(usd=1.0, input_usd_per_token=0.001, output_usd_per_token=0.002)


def answered(prompt: int | None, output: int | None, events: int = 0, status: int = 200) -> Attempt:
    source = "usage" if output is not None else "events"
    counts = Tokens(
        prompt=prompt, output=output if output is not None else events, output_from=source
    )  # type: ignore[arg-type]
    return Attempt(
        number=0, sent=1, http_status=status, tokens=counts, event_ns=list(range(events))
    )


def test_a_request_cap_is_exact_and_shared_out_whole() -> None:
    shares = [Budget(Caps(requests=7), worker, 3) for worker in range(3)]
    counts = []
    for share in shares:
        while share.fits(1, 1):
            share.hold(1, 1)
        counts.append(share.issued)
    assert counts == [3, 2, 2]


def test_what_is_in_flight_counts_at_its_worst() -> None:
    budget = Budget(Caps(output_tokens=100), 0, 1)
    budget.hold(5, 60)
    assert not budget.fits(5, 60)
    assert budget.could_fit(5, 60)
    assert budget.spent_tokens == 60
    budget.settle(5, 60, [answered(5, 10)])
    assert budget.spent_tokens == 10
    assert budget.fits(5, 90) and not budget.fits(5, 91)


def test_money_is_input_and_output_at_their_prices() -> None:
    budget = Budget(PRICED, 0, 1)
    budget.hold(100, 200)
    assert round(budget.spent_usd, 9) == 0.5
    budget.settle(100, 200, [answered(40, 10)])
    assert round(budget.spent_usd, 9) == 0.06


def test_without_usage_the_worst_case_stays_spent() -> None:
    budget = Budget(Caps(output_tokens=100), 0, 1)
    budget.hold(5, 60)
    budget.settle(5, 60, [answered(None, None, events=3)])
    assert budget.spent_tokens == 60
    assert not budget.could_fit(5, 60)


def test_what_was_never_sent_or_refused_costs_nothing() -> None:
    budget = Budget(Caps(output_tokens=100), 0, 1)
    for attempt in (Attempt(number=0), answered(None, None, status=429)):
        budget.hold(5, 60)
        budget.settle(5, 60, [attempt])
    assert budget.spent_tokens == 0
    budget.hold(5, 60)
    budget.settle(5, 60, [answered(None, None, status=500)])
    assert budget.spent_tokens == 60


def test_usage_below_the_text_that_came_is_not_believed() -> None:
    budget = Budget(Caps(output_tokens=100), 0, 1)
    budget.hold(5, 60)
    budget.settle(5, 60, [answered(5, 0, events=50)])
    assert budget.spent_tokens == 50


def test_a_share_of_nothing_admits_nothing() -> None:
    assert not Budget(Caps(requests=1), 1, 2).could_fit(1, 1)
    assert not Budget(Caps(usd=0.0, output_usd_per_token=1.0), 0, 1).could_fit(1, 1)


COSTS = st.tuples(
    st.integers(1, 50), st.integers(1, 50), st.none() | st.integers(0, 50), st.booleans()
)


@given(cap=st.integers(0, 500), workers=st.integers(1, 4), costs=st.lists(COSTS, max_size=60))
def test_honest_answers_never_pass_the_cap(
    cap: int, workers: int, costs: list[tuple[int, int, int | None, bool]]
) -> None:
    """Within what was reserved, in any order of ends, all shares together."""
    caps = Caps(output_tokens=cap, usd=cap / 10, input_usd_per_token=0.01, output_usd_per_token=0.1)
    shares = [Budget(caps, worker, workers) for worker in range(workers)]
    for share in shares:
        open_ones: list[tuple[int, int, int | None]] = []
        for prompt, output, real, ends_first in costs:
            if ends_first and open_ones:
                held_prompt, held_output, spent = open_ones.pop(0)
                answer = answered(held_prompt, None if spent is None else min(spent, held_output))
                share.settle(held_prompt, held_output, [answer])
            if share.fits(prompt, output):
                share.hold(prompt, output)
                open_ones.append((prompt, output, real))
    assert sum(share.spent_tokens for share in shares) <= cap
    assert sum(share.spent_usd for share in shares) <= cap / 10 + 1e-9
