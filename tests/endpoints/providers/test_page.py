"""docs/providers.md and the command show the catalogue."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from observatory.cli.setup.target import app
from observatory.providers.catalogue import PROVIDERS
from observatory.providers.page import page_with_tables, tables

PAGE = Path(__file__).resolve().parents[3] / "docs" / "providers.md"


def test_the_page_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page_with_tables(page) == page, (
        "run: observatory target providers --page docs/providers.md"
    )


def test_the_page_says_what_was_tried_with_a_key_and_what_is_not_known() -> None:
    text = tables()
    tried = [line for line in text.splitlines() if "golden requests" in line]
    assert len(tried) == len(PROVIDERS)
    assert all("| no: no key was available |" in line for line in tried)
    (groq,) = [line for line in text.splitlines() if line.startswith("| Groq | `chat` | `max_c")]
    assert "| not documented | yes | none, default, low, medium, high |" in groq
    assert "`anthropic-ratelimit-tokens-{limit,remaining,reset}`" in text


def test_a_page_without_its_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="the page needs the marks"):
        page_with_tables("# Providers")


def test_the_command_writes_the_page_and_lists_for_people_and_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.key_variable, raising=False)
    monkeypatch.setenv("GROQ_API_KEY", "gsk-canary-4711-never-show-this")
    runner = CliRunner()
    shown = runner.invoke(app, ["providers"])
    assert all(name in shown.stdout for name in PROVIDERS)
    rows = {
        row["name"]: row for row in json.loads(runner.invoke(app, ["providers", "--json"]).stdout)
    }
    assert {name for name, row in rows.items() if row["key_set"]} == {"groq"}
    assert rows["anthropic"]["usual_wire"] == "messages"
    assert rows["google"]["wires"]["chat"]["limit_bounds_reasoning"] is None
    assert "canary" not in shown.output + json.dumps(rows)
    copy = tmp_path / "providers.md"
    copy.write_text(PAGE.read_text().replace("| Groq |", "| Grok |"))
    assert runner.invoke(app, ["providers", "--page", str(copy)]).exit_code == 0
    assert copy.read_text() == PAGE.read_text()
