"""The cap holds for any server's response: worst cases count until the real cost is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from observatory.core.record import Attempt, Tokens, TokensFrom
from observatory.economics.cost import request_cost_usd
from observatory.economics.price_details import PriceDetails, PriceTier
from observatory.economics.price_rows import AppliedPrices, PriceRow
from observatory.load.budget import WorkerBudget
from observatory.load.handoff import Caps

PRICED = Caps(usd=1.0, input_usd_per_token=0.001, output_usd_per_token=0.002)


def answered(
    prompt: int | None,
    output: int | None,
    events: int = 0,
    status: int = 200,
    *,
    characters: int = 0,
    cached: int | None = None,
    written: int | None = None,
    source: TokensFrom | None = None,
) -> Attempt:
    if source is None:
        source = "usage" if output is not None else "events"
    counts = Tokens(
        prompt=prompt,
        cached=cached,
        output=output if output is not None else events,
        output_from=source,
        cache_write=written,
    )
    return Attempt(
        number=0,
        sent=1,
        http_status=status,
        tokens=counts,
        event_ns=list(range(events)),
        answer_characters=characters,
    )


def test_a_request_cap_is_exact_and_shared_out_whole() -> None:
    shares = [WorkerBudget(Caps(requests=7), worker, 3) for worker in range(3)]
    counts = []
    for share in shares:
        while share.fits(1, 1):
            share.hold(1, 1)
        counts.append(share.requests)
    assert counts == [3, 2, 2]


def test_what_is_in_flight_counts_at_its_worst() -> None:
    budget = WorkerBudget(Caps(output_tokens=100), 0, 1)
    budget.hold(5, 60)
    assert not budget.fits(5, 60)
    assert budget.could_fit(5, 60)
    assert budget.spent_tokens == 60
    budget.settle(5, 60, [answered(5, 10)])
    assert budget.spent_tokens == 10
    assert budget.fits(5, 90) and not budget.fits(5, 91)


def test_money_is_input_and_output_at_their_prices() -> None:
    budget = WorkerBudget(PRICED, 0, 1)
    budget.hold(100, 200)
    assert round(budget.spent_usd, 9) == 0.5
    budget.settle(100, 200, [answered(40, 10)])
    assert round(budget.spent_usd, 9) == 0.06


def test_without_usage_the_worst_case_stays_spent() -> None:
    budget = WorkerBudget(Caps(output_tokens=100), 0, 1)
    budget.hold(5, 60)
    budget.settle(5, 60, [answered(None, None, events=3)])
    assert budget.spent_tokens == 60
    assert not budget.could_fit(5, 60)


def test_what_was_never_sent_or_refused_costs_nothing() -> None:
    budget = WorkerBudget(Caps(output_tokens=100), 0, 1)
    for attempt in (Attempt(number=0), answered(None, None, status=429)):
        budget.hold(5, 60)
        budget.settle(5, 60, [attempt])
    assert budget.spent_tokens == 0
    budget.hold(5, 60)
    budget.settle(5, 60, [answered(None, None, status=500)])
    assert budget.spent_tokens == 60


@pytest.mark.parametrize(
    "answer",
    [
        answered(5, 0, events=50),  # less than the events that came
        answered(5, 3, events=3, characters=100),  # 33 characters a token
        answered(5, 30, cached=6),  # more from the cache than there is
        answered(5, 30, cached=3, written=3),
        answered(None, None, events=50),  # no usage
        answered(5, 30, status=400, source="events"),  # a content filter's refusal is billed
        answered(None, None, status=408),
        answered(None, None, status=500),
    ],
)
def test_usage_that_cannot_be_true_leaves_the_worst_case_spent(answer: Attempt) -> None:
    budget = WorkerBudget(PRICED, 0, 1)
    budget.hold(5, 60)
    budget.settle(5, 60, [answer])
    assert budget.spent_tokens == 60
    assert budget.spent_usd == budget.assumed_usd == pytest.approx(0.125)


def test_a_count_that_ran_along_with_a_stream_is_no_bill_where_the_stream_broke_off() -> None:
    """Gemini and others send usage in every event: tokens after the last one are billed too."""
    broken = structs.replace(
        answered(5, 3, events=3), outcome="timeout", error_phase="stream", error_kind="timeout"
    )
    whole = structs.replace(broken, finish_reason="stop")
    for answer, tokens in ((broken, 60), (whole, 3)):
        budget = WorkerBudget(PRICED, 0, 1)
        budget.hold(5, 60)
        budget.settle(5, 60, [answer])
        assert budget.spent_tokens == tokens


@pytest.mark.parametrize("status", [401, 402, 403, 404, 413, 429, 529])
def test_what_is_turned_away_costs_nothing(status: int) -> None:
    budget = WorkerBudget(PRICED, 0, 1)
    budget.hold(5, 60)
    budget.settle(5, 60, [answered(None, None, status=status)])
    assert (budget.spent_tokens, budget.spent_usd, budget.requests) == (0, 0.0, 1)


def test_what_ended_costs_what_its_row_will_say() -> None:
    prices = AppliedPrices(
        [
            PriceRow("input", 10.0, "stated", "t", details=PriceDetails(
                tiers=[PriceTier(1000, 20.0)], worst_usd=20.0)),
            PriceRow("cached_input", 1.0, "stated", "t"),
            PriceRow("cache_write", 25.0, "stated", "t"),
            PriceRow("output", 50.0, "stated", "t"),
        ],
        "stated",
    )  # fmt: skip
    caps = Caps(
        usd=9.0,
        input_usd_per_token=prices.input_usd_per_token or 0,
        output_usd_per_token=prices.output_usd_per_token or 0,
        prices=prices.to_dict(),
    )
    budget = WorkerBudget(caps, 0, 1)
    budget.hold(2000, 100)
    assert budget.spent_usd == pytest.approx(2000 * 25e-6 + 100 * 50e-6)  # cache writes are dearest
    budget.settle(2000, 100, [answered(900, 40, cached=500, written=300)])
    row = request_cost_usd(prices, 900, 500, 40, 300)
    assert row == pytest.approx((100 * 10 + 500 * 1 + 300 * 25 + 40 * 50) / 1e6)
    assert budget.spent_usd == row and budget.assumed_usd == 0.0


def test_more_than_the_worst_case_is_believed_and_expected_again() -> None:
    budget = WorkerBudget(Caps(output_tokens=100), 0, 1)
    for _ in range(3):
        budget.hold(5, 20)
    budget.settle(5, 20, [answered(5, 50)])
    assert budget.overrun == 2.5
    assert budget.spent_tokens == 50 + 2 * 50  # what is in flight may be as long
    assert not budget.exceeded and not budget.fits(5, 1)
    budget.settle(5, 20, [answered(5, 50)])
    assert budget.spent_tokens == 150 and not budget.exceeded
    budget.settle(5, 20, [answered(5, 1)])
    assert budget.spent_tokens == 101 and budget.exceeded
    later = WorkerBudget(Caps(output_tokens=100, overrun=budget.overrun), 0, 1)
    assert later.fits(5, 40) and not later.fits(5, 41)


def test_each_try_counts_and_only_what_was_turned_away_is_free() -> None:
    budget = WorkerBudget(Caps(requests=3, output_tokens=100), 0, 1)
    budget.hold(5, 40)
    assert budget.again(5, 40, answered(None, None, status=429))
    assert (budget.requests, budget.spent_tokens) == (2, 40)
    assert budget.again(5, 40)  # unknown whether the first was read
    assert (budget.requests, budget.spent_tokens) == (3, 80)
    assert not budget.again(5, 40, answered(None, None, status=429))  # the third was the last
    budget.settle(5, 40, [answered(5, 7)])
    assert (budget.spent_tokens, budget.requests) == (47, 3)
    assert not budget.could_fit(1, 1)


def test_a_share_of_nothing_admits_nothing() -> None:
    assert not WorkerBudget(Caps(requests=1), 1, 2).could_fit(1, 1)
    assert not WorkerBudget(Caps(usd=0.0, output_usd_per_token=1.0), 0, 1).could_fit(1, 1)


@st.composite
def truths(draw: st.DrawFn) -> tuple[int, int, int, int, str]:
    """A request whose server keeps to its limit: worst case, true tokens, and how it reports them."""
    prompt, output = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    reported = draw(
        st.sampled_from(["honest", "nothing", "too little", "too much", "cached", "429"])
    )
    return prompt, output, draw(st.integers(1, prompt)), draw(st.integers(0, output)), reported


def told_answer(truth: tuple[int, int, int, int, str]) -> tuple[Attempt, int, int]:
    """What it answers, and the tokens that it really bills."""
    _, _, prompt, output, reported = truth
    match reported:
        case "nothing":
            return answered(None, None, events=output), prompt, output
        case "too little" if output:
            return answered(1, output - 1, events=output), prompt, output
        case "too much":
            return answered(prompt * 3, output * 3, events=output), prompt, output
        case "cached":
            return answered(prompt, output, events=output, cached=prompt + 1), prompt, output
        case "429":
            return answered(None, None, status=429), 0, 0
    return answered(prompt, output, events=output), prompt, output


@given(
    cap=st.integers(0, 800),
    workers=st.integers(1, 4),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["issue", "issue", "end", "again"]), truths()),
        max_size=80,
    ),
)
def test_no_interleaving_bills_more_than_the_cap(
    cap: int, workers: int, steps: list[tuple[int, str, tuple[int, int, int, int, str]]]
) -> None:
    """Issue, end and try again in any order on any worker, while servers keep to max_tokens."""
    caps = Caps(output_tokens=cap, usd=cap / 10, input_usd_per_token=0.01, output_usd_per_token=0.1)
    shares = [WorkerBudget(caps, worker, workers) for worker in range(workers)]
    open_ones: list[list[tuple[int, int, int, int, str]]] = [[] for _ in range(workers)]
    billed_tokens, billed_usd = 0, 0.0

    def bill(prompt: int, output: int) -> None:
        nonlocal billed_tokens, billed_usd
        billed_tokens += output
        billed_usd += prompt * 0.01 + output * 0.1

    for place, what, truth in steps:
        worker = place % workers
        share, waiting = shares[worker], open_ones[worker]
        if what == "issue" and share.fits(*truth[:2]):
            share.hold(*truth[:2])
            waiting.append(truth)
        elif what == "end" and waiting:
            ended = waiting.pop(0)
            answer, prompt, output = told_answer(ended)
            bill(prompt, output)
            share.settle(*ended[:2], [answer])
        elif what == "again" and waiting and share.again(*waiting[0][:2]):
            bill(waiting[0][2], waiting[0][3])  # the lost try was read and billed after all
        in_flight = sum(truth[3] for each in open_ones for truth in each)
        assert billed_tokens + in_flight <= cap
        assert sum(share.spent_tokens for share in shares) >= billed_tokens
        assert sum(share.spent_usd for share in shares) >= billed_usd - 1e-9
    assert billed_usd <= cap / 10 + 1e-9


@given(
    cap=st.integers(0, 500),
    counts=st.lists(st.integers(0, 40), max_size=40),
)
def test_an_honest_run_spends_its_cost_to_the_cent(cap: int, counts: list[int]) -> None:
    caps = Caps(usd=cap / 10, input_usd_per_token=0.01, output_usd_per_token=0.1)
    budget, cost = WorkerBudget(caps, 0, 1), 0.0
    for output in counts:
        if budget.fits(30, 40):
            budget.hold(30, 40)
            budget.settle(30, 40, [answered(7, output, events=output)])
            cost += 7 * 0.01 + output * 0.1
    assert budget.spent_usd == pytest.approx(cost)
    assert budget.assumed_usd == 0.0 and not budget.exceeded


def test_a_try_that_a_stale_connection_lost_takes_no_place_among_the_requests() -> None:
    budget = WorkerBudget(Caps(requests=2, output_tokens=40), 0, 1)
    for _ in range(2):
        budget.hold(1, 10)
    assert not budget.again(1, 10)
    assert budget.again(1, 10, unread=True)
    assert (budget.requests, budget.spent_tokens) == (2, 30), "it may have been read, and billed"
    assert budget.again(1, 10, unread=True)
    assert not budget.again(1, 10, unread=True), "tokens have no room for another"
