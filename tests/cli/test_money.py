"""observatory cost and breakeven as a person types them, over runs that were sealed and ingested."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from observatory.analysis.stage_metrics import run_figures
from observatory.cli.money import breakeven, cost
from observatory.cli.money.demand_options import Capacity
from observatory.core.errors import BadInput
from observatory.core.money.demand import Assumption
from observatory.core.record import RequestRecord, Tokens
from observatory.core.run import Verdict
from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.ingest.warehouse import ingest
from tests.empty_database import stock
from tests.store.made_runs import (
    S,
    answer,
    facts,
    manifest,
    record,
    sealed_run,
    stage,
    workspace_in,
)

APP = typer.Typer()
APP.command()(cost.cost)
APP.command()(breakeven.breakeven)

SCENARIO = {
    "name": "quickstart",
    "slo": {"per_request": {"ttft": "5s", "tpot": None, "e2e": "10s"}, "attainment": 0.9},
    "demand": {"requests_a_day": 300_000.0, "peak_to_mean": 2.0, "source": "our gateway"},
}
HOUR = {
    "rows": [{"kind": "machine_hour", "usd": 6.0, "basis": "example", "source": "a stand-in"}],
    "basis": "example",
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A campaign of an engine at six dollars an hour and an emulated API, 35 answers each in 7 s."""
    workspace = stock(workspace_in(tmp_path_factory.mktemp("kept")))
    own = facts(
        "llama", kind="llamacpp", hosting="self", billing="hours", emulated=False, price=HOUR
    )
    for run, target in (("r1", facts()), ("r2", own)):
        made = manifest(run, target=target, scenario=SCENARIO, energy=[])
        ingest(workspace, sealed_run(workspace, made, thirty_five()), run_figures)
    return workspace


def thirty_five(**changes: Any) -> list[RequestRecord]:
    """Five a second: a mean needs 30."""
    return [record(place, **changes) for place in range(35)]


def typed(workspace: Workspace, *words: str) -> str:
    result = CliRunner().invoke(APP, [*words, "--results", str(workspace.results)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def answered(workspace: Workspace, *words: str) -> Any:
    return json.loads(typed(workspace, *words, "--json"))


def test_the_options_know_every_assumption() -> None:
    assert tuple(one.value for one in Capacity) == get_args(Assumption)


def test_cost_shows_both_figures_and_says_what_is_made_up(kept: Workspace) -> None:
    text = typed(kept, "cost", "last")
    assert "kept (reservation-based) (example prices)" in text
    assert "in use (usage-based, busy" in text
    assert "one more request (marginal)" in text
    assert "Hold an API's price against the first figure" in text
    figures = [line for line in text.splitlines() if "$" in line and "a month" in line]
    assert len(figures) == 2
    assert all("(emulated)" in line or "(example prices)" in line for line in figures)
    assert "0.001944 accelerator-hour" in text  # 7 s
    assert "  accelerators: priced by a stand-in\n" in text
    assert "emulated (emulated)" not in text and "e-0" not in text


def test_a_month_is_its_components(kept: Workspace) -> None:
    """5 answers a second: 216,000 a day on a replica at a peak of 2; 300,000 need two + 1."""
    bought, own = answered(kept, "cost", "last")
    assert own["month"]["replicas"] == 3
    assert own["month"]["usd"] == pytest.approx(3 * 144 * 365 / 12)
    assert own["month"]["low_usd"] <= own["month"]["usd"] <= own["month"]["high_usd"]
    assert bought["month"]["usd"] == pytest.approx(bought["usd_per_request"] * 300_000 * 365 / 12)
    assert bought["month"]["reason"] == "each request cost the same"
    kinds = {(one["accounting"], one["component"]) for one in own["components"]}
    assert kinds == {("reservation", "accelerators"), ("usage", "accelerators")}
    assert {one["component"] for one in bought["components"]} == {"input", "output"}


def test_the_break_even_is_said_with_its_inputs(kept: Workspace) -> None:
    """A request of 100 + 4 tokens at 1 and 10 dollars a million is 0.014 cents, and a replica serves
    216,000 a day for 144 dollars: 30.24 to buy."""
    found = answered(kept, "breakeven", "llama", "emulated-api")
    assert found["requests_a_day"] is None
    assert found["emulated"] is True
    assert found["price_bases"] == ["emulated", "example"]
    text = typed(kept, "breakeven", "llama", "emulated-api")
    assert "never gets cheaper than buying it from emulated-api (emulated, example prices)" in text
    assert "peak hour 2 x the mean (our gateway); 1 spare; always on" in text
    assert "At 300,000 requests a day: serving $13,140 a month (95 % interval $" in text
    assert "buying $1,278 (no interval: each request cost the same)" in text
    assert "a request (each request cost the same), measured over 35" in text
    assert "(95 % interval of the measured goodput; each request cost the same)" in text
    cheap = answered(
        kept, "breakeven", "llama", "emulated-api", "--assumption", "scale_to_zero"
    )  # an hour serves 18,000 requests, 2.52 dollars to buy
    assert cheap["requests_a_day"] is None
    assert "replica-hour costs $6.00" in cheap["reason"]


def test_a_bill_says_the_volume_and_typed_words_replace_the_scenarios(kept: Workspace) -> None:
    found = answered(
        kept,
        "breakeven",
        "llama",
        "emulated-api",
        "--api-bill-a-month",
        "100",
        "--peak-to-mean",
        "3",
    )
    assert found["api_usd_a_month"] == pytest.approx(100)
    assert found["demand"]["requests_a_day"] is None
    assert (found["demand"]["peak_to_mean"], found["peak_source"]) == (3.0, "stated")
    window = answered(
        kept,
        *("breakeven", "llama", "emulated-api"),
        *("--assumption", "active_window", "--active-hours", "8"),
    )
    assert window["demand"]["active_hours"] == 8


def test_a_days_shape_is_typed_as_counts_and_has_its_own_peak(kept: Workspace) -> None:
    counts = ",".join(["0"] * 20 + ["30", "10", "10", "10"])
    found = answered(kept, "breakeven", "llama", "emulated-api", "--hourly-shares", counts)
    assert found["demand"]["peak_to_mean"] is None
    assert found["demand"]["hourly_shares"][-4:] == pytest.approx([0.5, 1 / 6, 1 / 6, 1 / 6])
    for wrong, stated in (
        ("1,2", "24 numbers"),
        ("a,b", "not numbers"),
        ("0", "add up to nothing"),
    ):
        with pytest.raises(BadInput, match=stated):
            typed(kept, "cost", "last", "--hourly-shares", wrong)


def test_nothing_is_derived_from_an_invalid_run(tmp_path: Path) -> None:
    workspace = stock(workspace_in(tmp_path))
    own = facts(
        "llama", kind="llamacpp", hosting="self", billing="hours", emulated=False, price=HOUR
    )
    invalid = Verdict("invalid", ["errors"], "invalid: 300 of 400 requests failed (errors)")
    for run, target in (("r1", facts()), ("r2", own)):
        made = manifest(run, target=target, scenario=SCENARIO, energy=[], verdict=invalid)
        ingest(workspace, sealed_run(workspace, made, thirty_five()), run_figures)
    text = " ".join(typed(workspace, "cost", "last", "--requests-a-day", "50000").split())
    assert "a month at" not in text
    assert "$" not in text
    assert text.count("the run is invalid") == 2
    for one in answered(workspace, "cost", "last", "--requests-a-day", "50000"):
        assert (one["month"], one["no_month"]) == (None, "the run is invalid")
        assert (one["usd_per_request"], one["components"], one["figures"]) == (None, [], [])
    with connect(workspace) as connection:
        for run in ("r1", "r2"):
            months = connection.execute(f"FROM monthly_cost('{run}', 50000)").fetchall()
            million = connection.execute(f"SELECT usd_per_million('{run}')").fetchone()
            assert (months, million) == ([], (None,))


def test_what_cannot_be_is_refused_in_one_line(kept: Workspace) -> None:
    with pytest.raises(BadInput, match="no run of 'nobody'"):
        typed(kept, "breakeven", "nobody", "emulated-api")
    with pytest.raises(BadInput, match="go together"):
        typed(kept, "cost", "last", "--active-hours", "8")
    with pytest.raises(BadInput, match="give one volume"):
        typed(kept, "cost", "last", "--requests-a-day", "1", "--tokens-a-day", "1")
    sentence = answered(kept, "breakeven", "emulated-api", "llama")["sentence"]
    assert sentence == (
        "No break-even (emulated, example prices): emulated-api has no hourly rate: state `rate` in "
        "targets.yaml."
    )


def test_a_target_that_misses_the_slo_has_no_break_even(tmp_path: Path) -> None:
    """Answers take 0.13 s: no request had the first token after a hundredth."""
    workspace = stock(workspace_in(tmp_path))
    strict = {**SCENARIO, "slo": {"per_request": {"ttft": "10ms"}, "attainment": 0.9}}
    own = facts("llama", kind="llamacpp", billing="hours", emulated=False, price=HOUR)
    for run, target in (("r1", facts()), ("r2", own)):
        made = manifest(run, target=target, scenario=strict, energy=[])
        ingest(workspace, sealed_run(workspace, made, thirty_five()), run_figures)
    text = typed(workspace, "breakeven", "llama", "emulated-api")
    assert (
        "llama does not meet the SLO at any stage (objective: 90.0% of requests, at best 0.0%)"
        in text
    )
    assert "no stage met the SLO" in typed(workspace, "cost", "r2")


def test_what_is_missing_in_a_bill_is_said_and_not_taken_for_a_missing_price(
    tmp_path: Path,
) -> None:
    workspace = stock(workspace_in(tmp_path))
    uncounted = {"attempts": [answer(3 * S, tokens=Tokens())]}
    broken = record(1, outcome="error", **uncounted)
    for run, records in (
        ("r1", thirty_five(**uncounted)),
        ("r2", [record(0), broken]),
        ("r3", []),
    ):
        made = manifest(run, scenario=SCENARIO, energy=[], campaign_id=run)
        if not records:
            made = msgspec.structs.replace(
                made, stages=[stage(steady_started=None, steady_ended=None)]
            )
        ingest(workspace, sealed_run(workspace, made, records), run_figures)
    uncounted_text = typed(workspace, "cost", "r1")
    assert "token counts are missing" in " ".join(uncounted_text.split())
    assert "not known, some of its answers do not say how many tokens" in uncounted_text
    assert (
        "emulated; failed requests may have been billed and are not in it (emulated)"
        in " ".join(typed(workspace, "cost", "r2").split())
    )
    assert "nothing was measured that has a cost (emulated)" in typed(workspace, "cost", "r3")


def test_three_answers_carry_no_price_no_month_and_no_break_even(tmp_path: Path) -> None:
    workspace = stock(workspace_in(tmp_path))
    own = facts("llama", kind="llamacpp", billing="hours", emulated=False, price=HOUR)
    for run, target in (("r1", facts()), ("r2", own)):
        made = manifest(run, target=target, scenario=SCENARIO, energy=[])
        ingest(workspace, sealed_run(workspace, made), run_figures)
    text = typed(workspace, "cost", "last", "--requests-a-day", "1000")
    assert text.count("needs 30 requests, has 3") >= 5
    assert "a month at 1,000 requests a day: not known, needs 30 requests, has 3" in text
    assert "not known, what it serves within the SLO needs 30 independent requests" in text
    bought, served = answered(workspace, "cost", "last")
    assert (bought["month"], bought["usd_per_request"]) == (None, None)
    assert "needs 30 requests, has 3" in bought["no_month"]
    assert "needs 30 independent requests in a steady window" in served["no_month"]
    none = answered(workspace, "breakeven", "llama", "emulated-api")
    assert none["requests_a_day"] is None
    assert "needs 30 requests, has 3 in a steady window" in none["reason"]
