"""The verb prices, as a person types it: what is listed, shown, checked, booked and priced again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from observatory.cli.money import prices
from observatory.cli.setup import scenario
from observatory.core import workspace as workspace_module
from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace
from observatory.economics.ledger_book import ledger_book, ledger_version
from observatory.store.ingest.warehouse import ingest
from tests.economics.made_ledger import made_ledger
from tests.store.made_runs import facts, manifest, sealed_run, stage_rows, workspace_in

APP = typer.Typer()
APP.add_typer(prices.app, name="prices")
PINNED: dict[str, Any] = {
    "rows": [
        {
            "kind": kind, "usd": usd, "basis": "list_price", "source": "then",
            "details": {"provider": "acme", "model": "plain"},
        }
        for kind, usd in (("input", 2.0), ("output", 4.0))
    ],
    "basis": "list_price",
}  # fmt: skip
TARGETS = """\
targets:
  - {name: bought, kind: api, provider: acme, model: plain, service_tier: batch}
  - {name: agreed, kind: api, provider: acme, model: tiered}
  - {name: silent, kind: api, provider: acme, model: plain, price: unknown}
  - name: rented
    kind: url
    url: http://127.0.0.1:9/v1
"""
OWN = """\
prices:
  - {provider: acme, model: tiered, discount: 0.25, source: contract}
"""


@pytest.fixture(autouse=True)
def ledger() -> Iterator[None]:
    with made_ledger():
        yield


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with targets and a price file, which is also the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OBSERVATORY_RESULTS", raising=False)
    monkeypatch.setattr(workspace_module, "shipped", lambda folder: tmp_path / "shipped" / folder)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "targets.yaml").write_text(TARGETS)
    (tmp_path / "scenarios" / "prices.yaml").write_text(OWN)
    return workspace_in(tmp_path)


def _type(*words: str) -> Result:
    result = CliRunner().invoke(APP, ["prices", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _json(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_type(*words, "--json").stdout)
    return found


def test_providers_and_the_models_of_one(workspace: Workspace) -> None:
    assert [(row["provider"], row["models"]) for row in _json("list")] == [
        ("acme", 8),
        ("cloud", 0),
    ]
    models = {row["model"]: row for row in _json("list", "acme")}
    assert (models["plain"]["input"], models["plain"]["output"]) == (1.0, 2.0)
    assert models["plain"]["blended"] == 1.25  # (3 x 1 + 2) / 4
    assert models["plain"]["tiers"] == "batch, priority"
    assert models["dated"]["holds_from"] == "2026-03-01"
    assert models["tiered"]["dearer_above"] == 1000
    assert models["embedding"]["blended"] is None
    assert (
        f"genai-prices {ledger_version()}; its newest dated price" in _type("list", "acme").stdout
    )
    with pytest.raises(BadInput, match="no provider 'acne', did you mean 'acme'"):
        _type("list", "acne")


def test_a_model_is_shown_whole_the_workspaces_own_price_first(workspace: Workspace) -> None:
    rows = _json("show", "acme/tiered")
    assert [row["book"] for row in rows] == ["prices.yaml"] * 5 + ["genai-prices"] * 5
    own = {(row["kind"], row["prompts_above"]): row["usd_per_million"] for row in rows[:5]}
    assert own == {
        ("input", None): 1.5,
        ("input", 1000): 4.5,
        ("output", None): 6.0,
        ("output", 1000): 12.0,
        ("cached_input", None): 0.375,
    }
    shown = _type("show", "acme/tiered").stdout
    assert "prices.yaml, standard: 2.625 blended now" in shown  # (3 x 1.5 + 6) / 4
    assert "genai-prices, standard: 3.5 blended now" in shown
    assert "22:00 to 24:00 UTC" in _type("show", "acme/by-hour").stdout
    assert "not counted: web_searches_kcount" in _type("show", "acme/plain").stdout
    with pytest.raises(BadInput, match="no price of 'absent' of 'acme'"):
        _type("show", "acme/absent")
    with pytest.raises(BadInput, match="is not PROVIDER/MODEL"):
        _type("show", "acme")


def test_every_target_says_which_price_it_gets_and_from_where(workspace: Workspace) -> None:
    rows = {row["target"]: row for row in _json("check")}
    assert "rented" not in rows
    bought, agreed = rows["bought"], rows["agreed"]
    assert (bought["tier"], bought["input"], bought["basis"]) == ("batch", 0.5, "list_price")
    assert bought["holds_from"] == "2026-10-14"
    assert bought["days_old"] > 0
    assert (agreed["input"], agreed["basis"]) == (1.5, "stated")
    assert agreed["source"] == "scenarios/prices.yaml:2"
    assert rows["silent"]["input"] is None
    assert rows["silent"]["note"] == "no price: its costs are null"
    printed = _type("check").stdout
    assert "billed by hours, not shown: 1\n" in printed
    assert max(len(line) for line in printed.splitlines()) <= 100
    words = " ".join(printed.split())
    assert (
        "list_price, genai-prices" in words and "stated, scenarios/prices.yaml:2: agreed" in words
    )
    assert "note: no price: its costs are null: silent" in words
    assert "holds from 2026-10-14" in words


def test_a_target_without_a_price_fails_the_check_and_is_named(workspace: Workspace) -> None:
    path = workspace.root / "scenarios" / "targets.yaml"
    path.write_text(TARGETS + "  - {name: lost, kind: api, provider: acme, model: absent}\n")
    with pytest.raises(BadInput, match="without a price: lost"):
        _type("check")


def test_the_book_is_updated_once_a_version(workspace: Workspace) -> None:
    first = _type("update").stdout
    assert f"taken in: genai-prices {ledger_version()}, {len(ledger_book().rows)} prices" in first
    assert "taken in: prices.yaml " in first
    second = _type("update").stdout
    assert "taken in:" not in second
    assert "the book has prices.yaml: 1 version" in second


def test_runs_are_priced_anew_and_summed(workspace: Workspace) -> None:
    own = facts("bought", kind="api", emulated=False, provider="acme", model="plain", price=PINNED)
    for run_id, name, day in (("r1", "quick", "2026-03-02"), ("r2", "slow", "2026-04-02")):
        made = manifest(run_id, target=own, scenario_name=name, created_utc=f"{day}T12:00:00Z")
        assert ingest(workspace, sealed_run(workspace, made), stage_rows).message is None
    # Three requests of 100 prompt and 4 output tokens: 3 x (100 x 2 + 4 x 4) / 1e6 = 0.000648 then.
    rows = _json("reprice")
    assert [row["run_id"] for row in rows] == ["r1", "r2"]
    assert [row["old_usd"] for row in rows] == pytest.approx([0.000648, 0.000648])
    assert [row["new_usd"] for row in rows] == pytest.approx([0.000324, 0.000324])
    assert "2 runs: 0.001296 US dollars then, 0.000648 so, -50.0%" in _type("reprice").stdout
    march = _json("reprice", "--since", "2026-03-01", "--until", "2026-04-01")
    assert [row["run_id"] for row in march] == ["r1"]
    assert [row["run_id"] for row in _json("reprice", "--scenario", "slow")] == ["r2"]
    [batch, _] = _json("reprice", "--tier", "batch", "--as-of", "2026-11-01", "--no-caching")
    assert batch["new_usd"] == pytest.approx(0.000162)
    [earlier, _] = _json("reprice", "--tier", "batch", "--as-of", "2026-10-01")
    assert earlier["new_usd"] is None
    assert "tier batch on 2026-10-01" in earlier["reason"]
    [other, _] = _json("reprice", "--at", "acme/dated", "--discount", "0.5")
    assert other["new_usd"] == pytest.approx(3 * (100 * 3 + 4 * 5) / 1e6 / 2)
    assert "2 runs without one of the two" in _type("reprice", "--tier", "flex").stdout


def test_what_is_no_date_is_refused_by_its_option(workspace: Workspace) -> None:
    _type("update")
    with pytest.raises(BadInput, match=r"--since: '1\.3\.2026' is no date"):
        _type("reprice", "--since", "1.3.2026")
    assert "No run billed by tokens" in _type("reprice").stdout


def test_a_price_file_is_checked_with_the_scenarios(workspace: Workspace) -> None:
    checks = typer.Typer()
    checks.add_typer(scenario.app, name="scenario")
    path = workspace.root / "scenarios" / "prices.yaml"
    fine = CliRunner().invoke(checks, ["scenario", "check", str(path)])
    assert "fine; prices: 5" in fine.stdout
    path.write_text(OWN.replace("discount: 0.25", "discount: 25"))
    wrong = CliRunner().invoke(checks, ["scenario", "check"])
    message = wrong.stdout + wrong.stderr + str(wrong.exception)
    assert "prices.yaml:2" in message
    assert "out of range: at most 1" in message
