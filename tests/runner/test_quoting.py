"""When a person must agree before a campaign starts, and how quotes of its runs add up."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from observatory.cli.measure.quote_view import (
    agree,
    bill_line,
    quote_lines,
    short_lines,
    sum_line,
)
from observatory.core.errors import BadInput
from observatory.core.money.quotes import QuoteSpread
from observatory.core.record import Tokens
from observatory.core.scenario import Scenario
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.catalogue import Target
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.url import UrlTarget
from observatory.core.workspace import open_workspace
from observatory.economics.prices import prices_of
from observatory.economics.quote import quote
from observatory.runner.campaign_execution import RunRequest
from observatory.runner.finish import reread
from observatory.runner.finished_run import FinishedRun
from observatory.runner.quoting import CampaignQuote, limits_of, quote_request, speed_of
from observatory.store.ingest.warehouse import IngestResult
from observatory.workload.planning import make_plan
from tests.store.made_runs import S, answer, facts, manifest, record, sealed_run, workspace_in

PRICE = {"input_per_million_usd": 3.0, "output_per_million_usd": 15.0, "source": "a contract"}


def bought(name: str = "bought", **more: Any) -> UrlTarget:
    given = {"kind": "url", "url": "http://h:1/v1", "billing": "tokens", "price": PRICE}
    return UrlTarget.model_validate({"name": name, **given, **more})


def scenario(**more: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "s",
            "workload": {"kind": "tasks", "tasks": ["support-tickets"], "max_tokens": 100},
            "arrivals": {"kind": "constant"},
            "stages": [{"rate": "10/s"}],
            "timing": {"warmup": "0s", "steady": "100s"},
            **more,
        }
    )


def quotes_of(tmp_path: Path, *targets: Target, **more: Any) -> CampaignQuote:
    requested = scenario(**more)
    request = RunRequest(requested, tmp_path, list(targets))
    workspace = open_workspace(tmp_path / "results", root=tmp_path)
    return quote_request(workspace, request, make_plan(requested, tmp_path))


def test_only_what_is_billed_by_tokens_is_quoted_and_only_what_is_paid_adds_up(
    tmp_path: Path,
) -> None:
    emulated = EmulatedTarget.model_validate(
        {"kind": "emulated", "name": "emulated-a", "price": PRICE}
    )
    hours = bought("own", billing="hours", price=None)
    quotes = quotes_of(tmp_path, bought(), hours, emulated, budget={"usd": 9})
    assert [one.target for one in quotes.quotes.values()] == ["bought", "emulated-a"]
    assert quotes.usd == quotes.quotes[0].usd
    assert quotes.quotes[2].emulated and quotes.quotes[2].usd is not None
    lines = "\n".join([*quote_lines(quotes), *short_lines(quotes)])
    assert "emulated-a (emulated)" in lines and "nothing is paid" in lines
    assert "a contract" in lines and "(assumed)" in lines


def test_a_dry_run_fits_a_terminal_and_says_each_ground_once(tmp_path: Path) -> None:
    emulated = EmulatedTarget.model_validate(
        {"kind": "emulated", "name": "emulated-of-a-long-and-telling-name", "price": PRICE}
    )
    quotes = quotes_of(tmp_path, bought("a"), bought("b"), emulated, budget={"usd": 0.002})
    lines = quote_lines(quotes)
    assert max(len(line) for line in lines) < 80
    text = " ".join(" ".join(lines).split())
    assert text.count("answers are 10% (low), 50% (expected), all (high) of their limit") == 1
    assert text.count("high is cut by the budget: usd; what one stage takes the next lacks") == 3
    [high] = {line.split()[-1] for line in lines if "US dollars" in line}
    assert high == "$0.00200"
    heads = [at for at, line in enumerate(lines) if line.split()[-2:] == ["expected", "high"]]
    assert len(heads) == 3
    for at in heads:
        assert "requests" in lines[at + 2] and len(lines[at]) == len(lines[at + 2])


def test_a_quote_above_the_threshold_wants_a_yes(tmp_path: Path) -> None:
    quotes = quotes_of(tmp_path, bought(), budget={"usd": 1.5})
    [one] = quotes.quotes.values()
    assert one.requests.high == 1000 and one.usd is not None
    assert one.most_usd == one.usd.high == pytest.approx(1.5)
    assert quotes.must_agree(1.6) is None
    assert "up to $1.50" in (quotes.must_agree(1.0) or "")
    with pytest.raises(BadInput, match=r"up to \$1\.50") as refused:
        agree(quotes, yes=False, ask_above_usd=1.0, terminal=False)
    assert "--yes" in str(refused.value.fix)
    agree(quotes, yes=True, ask_above_usd=1.0, terminal=False)
    agree(quotes, yes=False, ask_above_usd=2.0, terminal=False)


def test_the_cap_of_all_runs_together_is_what_asks(tmp_path: Path) -> None:
    pair = quotes_of(tmp_path, bought("a"), bought("b"), budget={"usd": 0.8})
    assert "up to $1.60" in (pair.must_agree(1.0) or "")
    assert pair.usd is not None and pair.usd.high == pytest.approx(1.6)
    repeated = CampaignQuote(pair.quotes, {0: 3, 1: 1})
    assert "up to $3.20" in (repeated.must_agree(1.0) or "")
    assert "quote for all 4 runs" in quote_lines(repeated)[-1]
    assert repeated.to_dict()["runs"][0]["runs"] == 3


def test_emulated_targets_and_unknown_prices_never_ask(tmp_path: Path) -> None:
    emulated = EmulatedTarget.model_validate(
        {"kind": "emulated", "name": "emulated-a", "price": PRICE}
    )
    assert quotes_of(tmp_path, emulated).must_agree(0.0) is None
    unknown = quotes_of(tmp_path, bought(price="unknown"), budget={"requests": 10})
    assert unknown.must_agree(0.0) is None and unknown.usd is None
    assert "no price known" in short_lines(unknown)[0]


def test_what_nothing_bounds_asks_whatever_it_expects(tmp_path: Path) -> None:
    plan = make_plan(scenario(), tmp_path)
    one = quote(
        "t",
        plan,
        prices_of(bought(), agreed=None),
        scenario().budget,
        open_high="thoughts are not counted",
    )
    why = CampaignQuote({0: one}, {0: 1}).must_agree(1e9)
    assert why is not None and "thoughts are not counted" in why


@pytest.mark.parametrize(
    ("provider", "model", "why"),
    [
        ("openai", "gpt-4.1-mini", None),
        ("groq", "llama-3.3-70b-versatile", "groq does not document that its output limit counts"),
    ],
)
def test_what_a_provider_does_not_document_bounds_nothing(
    tmp_path: Path, provider: str, model: str, why: str | None
) -> None:
    own = ApiTarget(kind="api", name="own", provider=provider, model=model)
    [one] = quotes_of(tmp_path, own).quotes.values()
    assert one.open_high is None if why is None else (one.open_high or "").startswith(why)
    assert (one.most_usd is None) == (why is not None)


def test_pacing_and_the_targets_own_rate_are_limits(tmp_path: Path) -> None:
    pace = {"policy": "pace", "requests_per_minute": 60, "tokens_per_minute": 9000}
    found = limits_of(bought(max_rate="2/s"), scenario(throttling=pace))
    assert (found.rate_per_s, found.requests_per_minute, found.tokens_per_minute) == (2, 60, 9000)
    own = limits_of(bought(throttling={"policy": "obey"}), scenario(throttling=pace))
    assert (own.requests_per_minute, own.tokens_per_minute) == (None, None)


def test_an_emulated_target_is_as_fast_as_its_profile(tmp_path: Path) -> None:
    profile = {
        "ttft_median": "200ms", "ttft_p95": "400ms",
        "inter_token_median": "10ms", "inter_token_p95": "10ms",
    }  # fmt: skip
    target = EmulatedTarget.model_validate(
        {"kind": "emulated", "name": "emulated-a", "profile": profile}
    )
    speed = speed_of(target, open_workspace(tmp_path / "results", root=tmp_path))
    assert speed.basis == "profile"
    assert speed.first_token_s == QuoteSpread(pytest.approx(0.1), 0.2, 0.4)
    assert speed.duration_s(QuoteSpread(1, 10, 20)).high == pytest.approx(0.6)


def finished(
    name: str, cost_usd: float | None, without_cost: int = 0, *, emulated: bool = False
) -> FinishedRun:
    """A bought run that was quoted at 0.1 to 0.4 dollars."""
    spread = {"low": 0.1, "expected": 0.2, "high": 0.4}
    quoted = {
        **dict.fromkeys(("requests", "prompt_tokens", "output_tokens", "usd"), spread),
        **{k: [] for k in ("price_sources", "price_dates", "stages", "capped", "assumptions")},
        "target": name,
        "emulated": False,
        "price_basis": "stated",
        "budget": {},
    }
    made = manifest(target=facts(name, kind="url", emulated=emulated), quote=quoted)
    return FinishedRun(Path(), made, pl.DataFrame(), IngestResult(("r",)), cost_usd, without_cost)


def test_a_cost_that_is_not_known_is_said_and_never_added_as_nothing() -> None:
    whole, partly, unknown = finished("a", 0.25), finished("b", 0.5, 3), finished("c", None)
    assert bill_line(whole) == "a: quoted $0.100 - $0.200 - $0.400, cost $0.250"
    assert str(bill_line(partly)).endswith("cost $0.500 and 3 answers of unknown cost")
    assert str(bill_line(unknown)).endswith("cost not known")
    assert str(sum_line([whole, whole])).endswith("cost $0.500")
    stated = str(sum_line([whole, partly, unknown]))
    assert stated.endswith(
        "cost $0.750; not in it: 1 run of unknown cost, 3 answers of unknown cost"
    )


def test_an_address_that_turns_out_to_be_an_emulator_was_not_paid() -> None:
    """Its quote was made before it was contacted."""
    found = finished("a", 0.25, emulated=True)
    assert str(bill_line(found)).endswith("cost $0.250 (emulated, nothing was paid)")
    assert sum_line([found, finished("b", 0.1)]) is None


def test_answers_without_a_cost_are_counted_when_a_run_ends(tmp_path: Path) -> None:
    """Of four: an answer with usage, one without, one broken off, and a refusal, which is no answer."""
    uncounted = {"tokens": Tokens()}
    refused = {**uncounted, "http_status": 429, "first_event": None, "first_token": None}
    tries = [{}, uncounted, uncounted, refused]
    outcomes = ["ok", "ok", "error", "throttled"]
    records = [
        record(index, outcome=outcome, attempts=[answer(3 * S, **changes)])
        for index, (outcome, changes) in enumerate(zip(outcomes, tries, strict=True))
    ]
    ended = reread(sealed_run(workspace_in(tmp_path), records=records))
    assert ended.cost_usd == pytest.approx((100 * 1 + 4 * 10) / 1e6)
    assert ended.without_cost == 2


def test_a_run_that_sent_nothing_cost_nothing(tmp_path: Path) -> None:
    ended = reread(sealed_run(workspace_in(tmp_path), records=[]))
    assert (ended.cost_usd, ended.without_cost) == (0.0, 0)
