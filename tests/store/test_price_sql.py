"""Costs by component, blended prices and repriced runs: figures worked by hand, and properties."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.core.record import RequestRecord, Tokens
from observatory.core.workspace import Workspace
from observatory.economics.ledger_book import ledger_version
from observatory.economics.prices import prices_of
from observatory.inputs.price_files import agreed_prices
from observatory.store.database import connect
from observatory.store.ingest.warehouse import ingest
from observatory.store.queries.query import open_for_query, run_query
from tests.economics.made_ledger import made_ledger
from tests.economics.test_price_files import NOON, api
from tests.store.made_runs import S, answer, facts, manifest, record, sealed_run, stage_rows

DAY = "2026-11-20"


@pytest.fixture(autouse=True)
def ledger() -> Iterator[None]:
    with made_ledger():
        yield


def _rows(workspace: Workspace, query: str) -> list[dict[str, Any]]:
    with open_for_query(workspace) as connection:
        found = run_query(connection, query)
        return [
            dict(zip([name for name, _ in found.columns], row, strict=True)) for row in found.rows
        ]


def _request(
    index: int, *tries: tuple[int | None, int | None, int | None, int | None]
) -> RequestRecord:
    """Tries as (prompt, cached, cache_write, output) tokens."""
    attempts = [
        answer(
            3 * S,
            number=number,
            event_ns=[],
            event_tokens=[],
            event_characters=[],
            event_shared=[],
            answer_characters=0,
            tokens=Tokens(prompt=p, cached=c, cache_write=w, output=o, output_from="usage"),
        )
        for number, (p, c, w, o) in enumerate(tries)
    ]
    return record(index, attempts=attempts)


def _counted(index: int, tokens: Tokens, *, broken: bool = False) -> RequestRecord:
    """A request of one try with these counts, or up to where it broke off."""
    [attempt] = _request(index, (None, None, None, None)).attempts
    attempt = msgspec.structs.replace(attempt, tokens=tokens)
    if not broken:
        return record(index, attempts=[attempt])
    attempt = msgspec.structs.replace(attempt, outcome="error", finish_reason=None, saw_done=False)
    return record(index, outcome="error", attempts=[attempt])


def _take_in(
    workspace: Workspace,
    name: str,
    records: list[RequestRecord],
    run_id: str = "run-1",
    **asks: Any,
) -> None:
    """A run of acme's model, priced as the runner prices it, on DAY at noon."""
    target = api(name, **asks)
    prices = prices_of(target, agreed=agreed_prices(workspace), at=NOON)
    own = facts(
        name, kind="api", emulated=False, model=name, provider="acme", price=prices.to_dict(),
        cost_basis=prices.basis, service_tier=target.service_tier,
    )  # fmt: skip
    made = manifest(run_id, target=own, created_utc=f"{DAY}T12:00:00Z")
    assert ingest(workspace, sealed_run(workspace, made, records), stage_rows).message is None


def test_a_request_is_taken_apart_to_the_cent(stocked: Workspace) -> None:
    _take_in(stocked, "cache-writer", [_request(0, (1000, 0, 300, 50))])
    rows = _rows(
        stocked, "SELECT kind, tokens, usd_per_million, usd, basis, source FROM request_costs"
    )
    listed = f"genai-prices {ledger_version()}"
    assert sorted(rows, key=lambda row: row["kind"]) == [
        # 300 x 3.75 / 1e6, 700 x 3 / 1e6, 50 x 15 / 1e6
        {"kind": "cache_write", "tokens": 300, "usd_per_million": 3.75, "usd": 0.001125,
         "basis": "list_price", "source": listed},
        {"kind": "input", "tokens": 700, "usd_per_million": 3.0, "usd": pytest.approx(0.0021),
         "basis": "list_price", "source": listed},
        {"kind": "output", "tokens": 50, "usd_per_million": 15.0, "usd": 0.00075,
         "basis": "list_price", "source": listed},
    ]  # fmt: skip


def test_a_long_prompt_is_at_its_step_and_every_billed_try_is_in(stocked: Workspace) -> None:
    tries = [(1001, 400, None, 10), (None, None, None, None), (1001, 400, None, 20)]
    _take_in(stocked, "tiered", [_request(0, *tries), _request(1, (1000, 0, 0, 1))])
    rows = _rows(stocked, "SELECT request, kind, tokens, usd_per_million FROM request_costs")
    assert sorted(tuple(row.values()) for row in rows) == [
        (0, "cached_input", 800, 0.5),
        (0, "input", 1202, 6.0),
        (0, "output", 30, 16.0),
        (1, "input", 1000, 2.0),
        (1, "output", 1, 8.0),
    ]


def test_a_kind_without_a_price_is_charged_and_sourced_as_input(stocked: Workspace) -> None:
    _take_in(stocked, "plain", [_request(0, (100, 40, 10, 5))])
    rows = _rows(
        stocked, "SELECT kind, usd_per_million, basis FROM request_costs WHERE kind LIKE 'cache%'"
    )
    assert {row["kind"]: row["usd_per_million"] for row in rows} == {
        "cached_input": 1.0,
        "cache_write": 1.0,
    }
    assert {row["basis"] for row in rows} == {"list_price"}


_COUNT = st.integers(0, 5000)
_TRIES = st.lists(
    st.tuples(_COUNT, _COUNT, _COUNT, _COUNT).map(
        lambda t: (
            t[0] + t[1] + t[2],
            t[1],
            t[2],
            t[3],
        )  # cached and written are parts of the prompt
    )
    | st.tuples(st.none(), st.none(), st.none(), _COUNT)
    | st.just((10, 20, 0, 5)),
    min_size=1,
    max_size=3,
)


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    requests=st.lists(_TRIES, min_size=1, max_size=4),
    name=st.sampled_from(["plain", "tiered", "dated", "by-hour", "cache-writer"]),
)
def test_what_must_always_hold(stocked: Workspace, requests: list[Any], name: str) -> None:
    """The parts add up to each request's cost; at the run's own day and tier nothing changes."""
    import shutil

    shutil.rmtree(stocked.runs, ignore_errors=True)
    _take_in(stocked, name, [_request(i, *tries) for i, tries in enumerate(requests)])
    apart = _rows(
        stocked,
        "SELECT r.request, r.cost_usd, sum(c.usd) AS parts FROM requests r"
        " LEFT JOIN request_costs c USING (run_id, stage, request) GROUP BY ALL",
    )
    for row in apart:
        assert row["parts"] == (
            None
            if row["cost_usd"] is None
            else pytest.approx(row["cost_usd"], rel=1e-12, abs=1e-18)
        )
    [same] = _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}')")
    [dearer] = _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}', caching := false)")
    [half] = _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}', discount := 0.5)")
    if same["old_usd"] is None:
        assert same["new_usd"] is None
        assert same["reason"] == "no answer of the run says how many tokens it took"
        return
    assert same["new_usd"] == pytest.approx(same["old_usd"], rel=1e-12, abs=1e-18)
    assert half["new_usd"] == pytest.approx(same["new_usd"] / 2, rel=1e-12, abs=1e-18)
    if name != "cache-writer":  # there, writing costs more than plain input
        assert dearer["new_usd"] >= same["new_usd"] * (1 - 1e-12)
    assert dearer["cached_input_usd"] == dearer["cache_write_usd"] == 0


def test_another_day_another_tier_and_no_cache(stocked: Workspace) -> None:
    _take_in(stocked, "dated", [_request(0, (1000, 0, 0, 100))])
    [row] = _rows(stocked, "FROM reprice(as_of := DATE '2026-02-28')")
    # Now 1000 x 3 + 100 x 5 = 3500 millionths; until the end of February 1000 x 9 + 100 x 9 = 9900.
    assert row["old_usd"] == pytest.approx(0.0035)
    assert row["new_usd"] == pytest.approx(0.0099)
    assert row["change_usd"] == pytest.approx(0.0064)
    assert (row["input_usd"], row["output_usd"]) == pytest.approx((0.009, 0.0009))
    assert (row["effective_from"], row["priced_day"]) == (None, date(2026, 2, 28))
    assert (row["priced_tier"], row["book"], row["basis"]) == (
        "standard",
        "genai-prices",
        "list_price",
    )


def test_a_tier_and_its_absence(stocked: Workspace) -> None:
    _take_in(stocked, "plain", [_request(0, (1000, 0, 0, 100))], "usual")
    _take_in(stocked, "plain", [_request(0, (1000, 0, 0, 100))], "urgent", service_tier="priority")
    own = {row["run_id"]: row for row in _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}')")}
    assert own["usual"]["new_usd"] == pytest.approx(0.0012)
    assert own["urgent"]["new_usd"] == pytest.approx(0.0072) == own["urgent"]["old_usd"]
    assert own["urgent"]["priced_tier"] == "priority"
    batch = _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}', tier := 'batch')")
    assert [row["new_usd"] for row in batch] == pytest.approx([0.0006, 0.0006])
    usual = _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}', tier := 'standard')")
    assert [row["new_usd"] for row in usual] == pytest.approx([0.0012, 0.0012])
    flex = _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}', tier := 'flex')")
    assert [row["new_usd"] for row in flex] == [None, None]
    assert flex[0]["reason"] == "no price of acme/plain at tier flex on 2026-11-20 in the book"
    assert flex[0]["change_usd"] is None and flex[0]["old_usd"] is not None


def test_the_same_tokens_at_another_models_price_of_a_rented_machine_too(
    stocked: Workspace,
) -> None:
    _take_in(stocked, "plain", [_request(0, (2000, 500, 0, 100))])
    machine = facts("llama", kind="llamacpp", emulated=False, billing="hours", price=None)
    made = manifest("by-hours", target=machine, created_utc=f"{DAY}T12:00:00Z")
    folder = sealed_run(stocked, made, [_request(0, (2000, 500, 0, 100))])
    ingest(stocked, folder, stage_rows)
    assert [row["run_id"] for row in _rows(stocked, "FROM reprice()")] == ["run-1"]
    rows = _rows(stocked, "FROM reprice(at_provider := 'ACME', at_model := 'tiered')")
    # Beyond 1,000 prompt tokens: 1500 x 6 + 500 x 0.5 + 100 x 16 = 10,850 millionths.
    assert {row["run_id"]: row["new_usd"] for row in rows} == pytest.approx(
        {"run-1": 0.01085, "by-hours": 0.01085}
    )
    assert {row["run_id"]: row["old_usd"] for row in rows}["by-hours"] is None
    assert {row["priced_model"] for row in rows} == {"tiered"}
    absent = _rows(stocked, "FROM reprice(at_provider := 'acme', at_model := 'embedding')")
    assert [row["new_usd"] for row in absent] == [None, None]
    assert absent[0]["reason"] == "the book has no price of both input and output of embedding"


def test_a_model_that_asks_for_more_than_tokens_is_no_price_of_them(stocked: Workspace) -> None:
    """A fee of five dollars a thousand requests is in no token; a search that was not requested is none."""
    _take_in(stocked, "plain", [_request(0, (1000, 0, 0, 50))])
    (row,) = _rows(stocked, f"FROM reprice(as_of := '{DAY}', at_model := 'per-request')")
    assert row["new_usd"] is None and row["input_usd"] is None
    assert row["reason"].startswith("per-request is charged by more than tokens")
    (same,) = _rows(stocked, f"FROM reprice(as_of := '{DAY}')")
    assert same["new_usd"] == pytest.approx((1000 * 1 + 50 * 2) / 1e6)


def test_a_price_that_changes_with_the_hour_is_that_of_the_runs_hour(stocked: Workspace) -> None:
    _take_in(stocked, "by-hour", [_request(0, (1000, 0, 0, 0))])
    [row] = _rows(stocked, f"FROM reprice(as_of := DATE '{DAY}')")
    assert row["new_usd"] == pytest.approx(0.004)


def test_a_price_of_some_days_of_the_week_holds_on_them_alone(stocked: Workspace) -> None:
    _take_in(stocked, "by-hour", [_request(0, (1000, 0, 0, 0))])
    with connect(stocked, read_only=False) as connection:
        connection.execute("UPDATE price_book SET days = 'mon-fri'")
        connection.execute("""INSERT INTO price_book SELECT * REPLACE (usd_per_million / 8 AS
            usd_per_million, 'sat-sun' AS days) FROM price_book""")
        for day, usd in (("2026-11-27", 0.004), ("2026-11-28", 0.0005), ("2026-11-29", 0.0005),
                         ("2026-11-30", 0.004)):  # fmt: skip
            connection.execute(f"UPDATE runs SET created_at = '{day} 12:00:00'")
            [found] = connection.execute(
                "SELECT new_usd FROM reprice(as_of := DATE '2026-11-30')"
            ).fetchall()
            assert found == (pytest.approx(usd),), day


def test_the_workspaces_own_price_holds_before_the_list_and_either_can_be_asked_for(
    stocked: Workspace,
) -> None:
    (stocked.root / "scenarios").mkdir()
    (stocked.root / "scenarios" / "prices.yaml").write_text(
        "prices:\n  - {provider: acme, model: plain, discount: 0.25, source: contract}\n"
    )
    _take_in(stocked, "plain", [_request(0, (1000, 0, 0, 100))])
    [own] = _rows(stocked, "FROM reprice()")
    assert own["old_usd"] == own["new_usd"] == pytest.approx(0.0009)
    assert (own["book"], own["source"], own["basis"]) == ("prices.yaml", "contract", "stated")
    [listed] = _rows(stocked, "FROM reprice(in_book := 'genai-prices')")
    assert (listed["new_usd"], listed["book"]) == (pytest.approx(0.0012), "genai-prices")
    [none] = _rows(stocked, "FROM reprice(in_version := 'never seen')")
    assert none["new_usd"] is None and "no price of acme/plain" in none["reason"]


def test_what_a_target_states_itself_holds_until_something_else_is_asked_for(
    stocked: Workspace,
) -> None:
    own = {"input_per_million_usd": 5, "output_per_million_usd": 6, "source": "own",
           "cached_input_per_million_usd": 1}  # fmt: skip
    _take_in(stocked, "plain", [_request(0, (1000, 500, 0, 100))], price=own)
    [row] = _rows(stocked, "FROM reprice(caching := false, discount := 0.1)")
    assert row["old_usd"] == pytest.approx(0.0036)  # 500 x 5 + 500 x 1 + 100 x 6
    assert row["new_usd"] == pytest.approx(0.00504)  # (1000 x 5 + 100 x 6) x 0.9
    assert (row["book"], row["version"], row["basis"], row["source"], row["reason"]) == (
        "run", None, "stated", "own", None,
    )  # fmt: skip
    [listed] = _rows(stocked, "FROM reprice(in_book := 'genai-prices')")
    assert listed["new_usd"] == pytest.approx(0.0012)
    [batch] = _rows(stocked, f"FROM reprice(tier := 'batch', as_of := DATE '{DAY}')")
    assert batch["new_usd"] == pytest.approx(0.0006)


def test_the_prices_that_a_run_was_charged_at_can_be_asked_for(stocked: Workspace) -> None:
    _take_in(stocked, "tiered", [_request(0, (1001, 400, 0, 10)), _request(1, (10, 4, 0, 1))])
    with connect(stocked, read_only=False) as connection:
        connection.execute("DELETE FROM price_book")
    [same] = _rows(stocked, "FROM reprice(in_book := 'run')")
    assert same["new_usd"] == pytest.approx(same["old_usd"], rel=1e-12)
    [plain] = _rows(stocked, "FROM reprice(in_book := 'run', caching := false)")
    # 1001 x 6 + 10 x 16 beyond the step, 10 x 2 + 1 x 8 below it
    assert plain["new_usd"] == pytest.approx((1001 * 6 + 10 * 16 + 10 * 2 + 8) / 1e6)


def test_an_empty_book_and_a_target_of_no_provider_say_so(stocked: Workspace) -> None:
    ingest(stocked, sealed_run(stocked), stage_rows)
    [row] = _rows(stocked, "FROM reprice(tier := 'batch')")
    assert row["reason"] == "its target is of no provider of a book: name at_provider and at_model"
    with connect(stocked, read_only=False) as connection:
        connection.execute("DELETE FROM price_book")
    [row] = _rows(stocked, "FROM reprice(in_book := 'genai-prices')")
    assert row["reason"] == "the book of prices is empty: observatory prices update"
    assert row["new_usd"] is None


def test_blended_prices_at_any_ratio_and_cached_share(stocked: Workspace) -> None:
    _take_in(stocked, "plain", [_request(0, (1, 0, 0, 1))])
    [row] = _rows(
        stocked,
        """SELECT blended_usd(1, 4) AS three, blended_usd(1, 4, input_per_output := 1) AS one,
          blended_usd(1, 4, cached_input_usd := 0.5, cached_share := 0.5) AS cached,
          blended_usd(1, 4, cached_share := 0.5) AS no_price,
          blended_usd(1, NULL) AS missing,
          blended_usd_per_million('acme', 'tiered') AS tiered,
          blended_usd_per_million('ACME', 'Tiered', cached_share := 1) AS all_cached,
          blended_usd_per_million('acme', 'plain', tier := 'batch') AS batch,
          blended_usd_per_million('acme', 'by-hour') AS dearest,
          blended_usd_per_million('acme', 'dated', as_of := DATE '2026-01-01') AS earlier,
          blended_usd_per_million('acme', 'absent') AS absent""",
    )
    assert row == pytest.approx(
        {
            "three": 1.75,  # (3 x 1 + 4) / 4
            "one": 2.5,
            "cached": 1.5625,  # (3 x 0.75 + 4) / 4
            "no_price": 1.75,
            "missing": None,
            "tiered": 3.5,  # (3 x 2 + 8) / 4
            "all_cached": 2.375,  # (3 x 0.5 + 8) / 4
            "batch": 0.625,
            "dearest": 4.0,
            "earlier": 9.0,
            "absent": None,
        }
    )


def test_a_request_without_a_cost_says_why(stocked: Workspace) -> None:
    records = [
        _request(0, (100, 0, 0, 5)),
        _request(1, (None, None, None, 5)),
        _request(2, (10, 20, 0, 5)),
        record(3, outcome="not_issued", reason="budget", attempts=[]),
        _counted(4, Tokens(prompt=100, output=2, output_from="events", streamed_from="events")),
        _counted(5, Tokens(prompt=100, streamed=5, streamed_from="characters")),
        _counted(6, Tokens(prompt=100, output=5, output_from="usage"), broken=True),
    ]
    _take_in(stocked, "plain", records)
    _take_in(stocked, "plain", [_request(0, (100, 0, 0, 5))], "free", price="unknown")
    machine = facts("llama", kind="llamacpp", emulated=False, billing="hours", price=None)
    ingest(
        stocked, sealed_run(stocked, manifest("rented", target=machine), [record(0)]), stage_rows
    )
    rows = _rows(stocked, "SELECT run_id, request, cost_usd, cost_reason FROM request_metrics")
    assert {(row["run_id"], row["request"]): row["cost_reason"] for row in rows} == {
        ("run-1", 0): None,
        ("run-1", 1): "no answer says how many tokens",
        ("run-1", 2): "its token counts contradict each other",
        ("run-1", 3): "never sent",
        ("run-1", 4): "no answer says how many tokens",
        ("run-1", 5): "its token counts contradict each other",
        ("run-1", 6): "it broke off before its last count",
        ("free", 0): "no price is known",
        ("rented", 0): "billed by hours",
    }
    assert all((row["cost_usd"] is None) == (row["cost_reason"] is not None) for row in rows)
    charged = _rows(stocked, "SELECT DISTINCT request FROM request_costs WHERE run_id = 'run-1'")
    assert charged == [{"request": 0}]


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ("", ["early", "late"]),
        ("since := DATE '2026-11-21'", ["late"]),
        ("until := DATE '2026-11-21'", ["early"]),
        ("of_scenario := 'quickstart', since := '2026-11-20'", ["early", "late"]),
        ("of_scenario := 'another'", []),
    ],
)
def test_only_the_runs_that_are_asked_for_are_priced(
    stocked: Workspace, limits: str, found: list[str]
) -> None:
    for run_id in ("early", "late"):
        _take_in(stocked, "plain", [_request(0, (1000, 0, 0, 100))], run_id=run_id)
    with connect(stocked, read_only=False) as connection:
        for run_id, day in (("early", "2026-11-20"), ("late", "2026-11-22")):
            connection.execute(
                f"UPDATE runs SET created_at = '{day} 12:00' WHERE run_id = '{run_id}'"
            )
        rows = connection.execute(f"SELECT run_id, new_usd FROM reprice({limits})").fetchall()
    assert [run_id for run_id, _ in rows] == found
    assert all(usd is not None and usd > 0 for _, usd in rows)
