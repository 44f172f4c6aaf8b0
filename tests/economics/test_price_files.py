"""A person's price file: what holds when, what a discount is taken off, and what is refused on which line."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from observatory.core.errors import BadInput
from observatory.core.money.agreed_prices import PriceFile
from observatory.core.targets.catalogue import Target
from observatory.core.workspace import Workspace
from observatory.economics.agreed_prices import book_of
from observatory.economics.cost import request_cost_usd
from observatory.economics.ledger_book import ledger_version
from observatory.economics.price_rows import AppliedPrices
from observatory.economics.prices import prices_of
from observatory.inputs.json_schemas import json_schema
from observatory.inputs.price_files import agreed_prices, read_price_file
from observatory.inputs.scenario_files import list_scenarios
from tests.economics.made_ledger import made_ledger

TARGET: TypeAdapter[Any] = TypeAdapter(Target)
SHIPPED = Path(__file__).resolve().parents[2] / "scenarios"
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=UTC)
FILE = """\
prices:
  - provider: acme
    model: [plain, other]
    input_per_million_usd: 0.8
    output_per_million_usd: 1.6
    effective_from: 2026-11-01
    effective_until: 2026-12-01
    source: contract 12
  - provider: acme
    model: plain
    service_tier: batch
    discount: 0.5
    source: page on batch
  - provider: acme
    model: tiered
    discount: 0.12
    discount_on: [input, output]
    source: contract 13
  - provider: acme
    model: long
    input_per_million_usd: 1
    output_per_million_usd: 2
    long_prompts:
      - {above_prompt_tokens: 100, input_per_million_usd: 3, output_per_million_usd: 4}
    source: quotation
    basis: example
"""


@pytest.fixture(autouse=True)
def ledger() -> Iterator[None]:
    with made_ledger():
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "scenarios").mkdir()
    return Workspace(tmp_path, tmp_path / "results")


def write(workspace: Workspace, text: str) -> Path:
    path = workspace.root / "scenarios" / "prices.yaml"
    path.write_text(text)
    return path


def api(model: str, **fields: Any) -> Any:
    given: dict[str, Any] = {"name": "t", "kind": "api", "provider": "acme", "model": model}
    return TARGET.validate_python(given | fields)


def applied(workspace: Workspace, target: Any, at: dt.datetime = NOON) -> AppliedPrices:
    return prices_of(target, agreed=agreed_prices(workspace), at=at)


def usd(prices: AppliedPrices) -> dict[str, float]:
    return {row.kind: row.usd for row in prices.rows}


def test_an_agreed_price_holds_before_the_list_and_says_where_it_stands(
    workspace: Workspace,
) -> None:
    path = write(workspace, FILE)
    prices = applied(workspace, api("plain"))
    assert (usd(prices), prices.basis) == ({"input": 0.8, "output": 1.6}, "stated")
    row = prices.rows[0]
    assert (row.source, row.effective_from) == ("contract 12", "2026-11-01")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert row.details.book == "prices.yaml"
    assert row.details.line == 2
    assert row.details.version.startswith(sha256)
    assert row.details.effective_until == "2026-12-01"
    assert (row.details.ledger_provider, row.details.ledger_model) == ("acme", "plain")


@pytest.mark.parametrize("day", [dt.datetime(2026, 10, 31, 23, 59), dt.datetime(2026, 12, 1)])
def test_outside_its_dates_the_list_price_holds(workspace: Workspace, day: dt.datetime) -> None:
    write(workspace, FILE)
    prices = applied(workspace, api("plain"), day.replace(tzinfo=UTC))
    assert (usd(prices), prices.basis) == ({"input": 1.0, "output": 2.0}, "list_price")


def test_a_discount_is_taken_off_the_standard_list_price_not_off_the_tiers(
    workspace: Workspace,
) -> None:
    write(workspace, FILE)
    prices = applied(workspace, api("plain", service_tier="batch"))
    assert usd(prices) == {"input": 0.5, "output": 1.0}
    assert prices.rows[1].details.list_usd == 2.0
    assert prices.rows[1].details.discount == 0.5
    assert prices.rows[1].details.list_source == f"genai-prices {ledger_version()}"


@pytest.mark.parametrize(
    ("model", "why"),
    [("per-request", "charges by requests_kcount"), ("embedding", "has none for output")],
)
def test_a_discount_off_what_tokens_do_not_give_is_refused_as_the_list_price_is(
    workspace: Workspace, model: str, why: str
) -> None:
    """Half of five dollars a thousand requests would be in no cost and held by no cap."""
    write(
        workspace,
        f"prices:\n  - {{provider: acme, model: {model}, discount: 0.5, source: contract}}\n",
    )
    with pytest.raises(BadInput, match=why):
        applied(workspace, api(model))


def test_a_discount_keeps_the_lists_steps_and_spares_the_kinds_that_it_does_not_name(
    workspace: Workspace,
) -> None:
    write(workspace, FILE)
    prices = applied(workspace, api("tiered"))
    assert usd(prices) == {"input": 1.76, "output": 7.04, "cached_input": 0.5}
    # 1,001 prompt tokens are beyond the step at 1,000: 601 x 6 x 0.88 + 400 x 0.5 + 10 x 16 x 0.88
    assert request_cost_usd(prices, 1001, 400, 10) == pytest.approx(
        (601 * 5.28 + 400 * 0.5 + 10 * 14.08) / 1e6
    )
    assert prices.input_usd_per_token == pytest.approx(5.28e-6)


def test_a_long_prompt_moves_the_whole_request(workspace: Workspace) -> None:
    write(workspace, FILE)
    prices = applied(workspace, api("long"))
    assert prices.basis == "example"
    assert request_cost_usd(prices, 100, 0, 10) == pytest.approx((100 * 1 + 10 * 2) / 1e6)
    assert request_cost_usd(prices, 101, 0, 10) == pytest.approx((101 * 3 + 10 * 4) / 1e6)


def test_what_a_target_states_holds_before_the_file(workspace: Workspace) -> None:
    write(workspace, FILE)
    own = {"input_per_million_usd": 5, "output_per_million_usd": 6, "source": "own"}
    assert usd(applied(workspace, api("plain", price=own))) == {"input": 5.0, "output": 6.0}
    assert applied(workspace, api("plain", price="unknown")) == AppliedPrices()


def test_a_discount_off_nothing_is_refused_by_line(workspace: Workspace) -> None:
    text = "prices:\n  - {provider: acme, model: absent, discount: 0.1, source: s}\n"
    write(workspace, text)
    with pytest.raises(BadInput, match=r"prices.yaml:2.*no standard list price of 'absent'"):
        applied(workspace, api("absent"))
    write(
        workspace, text.replace("absent", "plain").replace("source", "discount_off: flex, source")
    )
    with pytest.raises(BadInput, match=r"no flex list price of 'plain'"):
        applied(workspace, api("plain"))


@pytest.mark.parametrize(
    ("entry", "line", "why"),
    [
        ("input_per_million_usd: 1", 2, "needs input_per_million_usd and output_per_million_usd"),
        ("discount: 0.1\n    input_per_million_usd: 1", 2, "prices or a discount"),
        ("discount: 1.5", 4, "at most 1"),
        ("discount: 0.1\n    effective_from: 31.12.2026", 5, "effective_from"),
        (
            "discount: 0.1\n    effective_from: 2026-12-01\n    effective_until: 2026-12-01",
            2,
            "must come after",
        ),
        ("discount: 0.1\n    teir: batch", 5, "teir"),
        ("input_per_million_usd: -1\n    output_per_million_usd: 1", 4, "at least 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    workspace: Workspace, entry: str, line: int, why: str
) -> None:
    path = write(
        workspace, f"prices:\n  - provider: acme\n    model: plain\n    {entry}\n    source: s\n"
    )
    with pytest.raises(BadInput, match=why) as caught:
        read_price_file(path)
    assert f"prices.yaml:{line}" in str(caught.value)


def test_two_prices_for_the_same_days_are_refused(workspace: Workspace) -> None:
    entry = (
        "  - {provider: acme, model: plain, input_per_million_usd: 1, output_per_million_usd: 1,"
        " source: s, effective_%s: 2026-11-01}\n"
    )
    path = write(workspace, "prices:\n" + entry % "from" + entry % "from")
    with pytest.raises(BadInput, match="two prices on the same days") as caught:
        read_price_file(path)
    assert "prices.yaml:3" in str(caught.value)
    apart = write(workspace, "prices:\n" + entry % "until" + entry % "from")
    assert len(read_price_file(apart).entries) == 2


def test_without_a_file_nothing_is_agreed_and_it_is_no_scenario(workspace: Workspace) -> None:
    assert agreed_prices(workspace) is None
    write(workspace, FILE)
    assert "prices" not in {entry.name for entry in list_scenarios(workspace)}
    assert "prices.example" not in {entry.name for entry in list_scenarios(workspace)}


@settings(deadline=None)
@given(
    share=st.floats(0.01, 1),
    at=st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 6, 1), timezones=st.just(UTC)),
    name=st.sampled_from(["plain", "dated", "tiered", "by-hour", "cache-writer"]),
)
def test_a_discount_is_never_dearer_than_the_list(
    tmp_path_factory: pytest.TempPathFactory, share: float, at: dt.datetime, name: str
) -> None:
    path = tmp_path_factory.mktemp("p") / "prices.yaml"
    path.write_text(
        f"prices:\n  - {{provider: acme, model: {name}, discount: {share!r}, source: s}}\n"
    )
    listed = prices_of(api(name), agreed=None, at=at)
    agreed = prices_of(api(name), agreed=read_price_file(path), at=at)
    assert usd(agreed) == pytest.approx(
        {kind: price * (1 - share) for kind, price in usd(listed).items()}, rel=1e-9, abs=1e-11
    )


def test_the_schema_beside_the_scenarios_is_current() -> None:
    assert (SHIPPED / "prices.schema.json").read_text() == json_schema(PriceFile), (
        "run: observatory scenario schema --prices --out scenarios/prices.schema.json"
    )
    assert not (SHIPPED / "prices.yaml").exists(), "a shipped file would change people's prices"


def test_the_book_of_a_file_hangs_on_its_bytes_and_on_the_list_that_it_takes_shares_off(
    workspace: Workspace,
) -> None:
    book = book_of(read_price_file(write(workspace, FILE)))
    assert book.name == "prices.yaml"
    assert book.version.endswith(f" on genai-prices {ledger_version()}")
    assert len(book.rows) == 2 * 2 + 2 + 5 + 4
    plain = read_price_file(
        write(workspace, FILE.split("  - provider: acme\n    model: plain\n")[0])
    )
    assert book_of(plain).version == plain.sha256
