"""The verbs sql, schema, export, rebuild and runs, as a person types them."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from observatory.analysis.stage_metrics import run_figures
from observatory.cli.answers import show_table
from observatory.cli.results import export, rebuild, runs, schema, sql
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import Workspace
from observatory.store.ingest.warehouse import ingest
from tests.empty_database import stock
from tests.store.made_runs import facts, manifest, sealed_run, workspace_in

APP = typer.Typer()
APP.command()(sql.sql)
APP.command()(schema.schema)
APP.command()(export.export)
APP.command()(rebuild.rebuild)
APP.add_typer(runs.app, name="runs")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two runs of one campaign; tests that change anything take a copy."""
    workspace = stock(workspace_in(tmp_path_factory.mktemp("kept")))
    own = facts("llama", kind="llamacpp", emulated=False, billing="hours", price=None)
    for made in (manifest("r1"), manifest("r2", target=own)):
        ingest(workspace, sealed_run(workspace, made), run_figures)
    return workspace


@pytest.fixture
def mine(kept: Workspace, tmp_path: Path) -> Workspace:
    import shutil

    shutil.copytree(kept.results, tmp_path / "results")
    return workspace_in(tmp_path)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OBSERVATORY_RESULTS", raising=False)
    yield


def _type(workspace: Workspace, *words: str, typed: str | None = None) -> Result:
    results = [] if words[0] == "schema" else ["--results", str(workspace.results)]
    result = CliRunner().invoke(APP, [*words, *results], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


FRONT = "select target, count(*), quantile_cont(ttft_s, .5) from request_metrics group by all"


def test_a_table_for_reading(kept: Workspace) -> None:
    shown = _type(kept, "sql", f"{FRONT} order by 1").stdout
    lines = [line.split("│") for line in shown.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line[1:-1]] for line in lines]
    assert cells == [["emulated-api", "3", "0.1"], ["llama", "3", "0.1"]]


def test_missing_is_a_dash_and_a_cut_table_says_so(kept: Workspace) -> None:
    shown = _type(kept, "sql", "select null as a, range from range(5)", "--limit", "2").stdout
    assert shown.count("–") == 2
    assert "The first 2 rows; there are more" in shown
    whole = _type(kept, "sql", "select range from range(500)", "--limit", "0").stdout
    assert whole.count("\n") > 500 and "there are more" not in whole
    assert "No rows." in _type(kept, "sql", "from runs where false").stdout


def test_rows_too_wide_for_the_terminal_stand_below_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = [f"column_{place}" for place in range(20)]
    show_table(columns, [list(range(20)), [None] * 20], width=80)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["row 1", "  column_0   0"]
    assert lines[21:23] == ["row 2", "  column_0   –"]
    show_table(columns[:3], [[1, "a" * 200, [1.5, float("nan")]]], width=80, longest=20)
    folded = capsys.readouterr().out
    assert "a" * 19 + "…" in folded and '[1.5,"nan"]' in folded


def test_csv_json_and_standard_input(kept: Workspace) -> None:
    query = (
        "select 1 a, null b, [1.5, null] l, 'x,\"y' s, true t, 'inf'::double i, "
        "'{\"k\": 1}'::json j, date '2026-11-20' d"
    )
    rows = list(csv.DictReader(io.StringIO(_type(kept, "sql", query, "--format", "csv").stdout)))
    assert rows == [
        {"a": "1", "b": "", "l": "[1.5,null]", "s": 'x,"y', "t": "true", "i": "inf",
         "j": '{"k": 1}', "d": "2026-11-20"}
    ]  # fmt: skip
    typed = _type(kept, "sql", "-", "--format", "json", typed=query).stdout
    assert json.loads(typed) == [
        {"a": 1, "b": None, "l": [1.5, None], "s": 'x,"y', "t": True, "i": "inf",
         "j": {"k": 1}, "d": "2026-11-20"}
    ]  # fmt: skip
    assert json.loads(_type(kept, "sql", "from runs where false", "--format", "json").stdout) == []


def test_an_answer_goes_into_a_file_by_its_ending(kept: Workspace, tmp_path: Path) -> None:
    for ending in ("csv", "json", "parquet"):
        _type(kept, "sql", "select run_id from runs order by 1", "--out", f"answer.{ending}")
    assert (tmp_path / "answer.csv").read_text() == "run_id\nr1\nr2\n"
    assert json.loads((tmp_path / "answer.json").read_text()) == [
        {"run_id": "r1"},
        {"run_id": "r2"},
    ]
    assert pl.read_parquet(tmp_path / "answer.parquet")["run_id"].to_list() == ["r1", "r2"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["select 1", "--format", "parquet"], "add --out FILE"),
        (["select 1", "--out", "answer.xlsx"], "the ending is of no known format"),
        (["select 1", "--out", "a.csv", "--format", "table"], "a table is for reading"),
        (["select 1", "--out", "nowhere/a.csv"], "there is no such folder"),
        (["selec 1"], "syntax error"),
    ],
)
def test_bad_input_is_told(kept: Workspace, words: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        _type(kept, "sql", *words)


def test_a_failed_query_leaves_no_half_file(kept: Workspace, tmp_path: Path) -> None:
    late = "select ('x' || range)::int from range(50000)"
    for query in ("from nowhere", late):
        with pytest.raises(BadInput):
            _type(kept, "sql", query, "--out", "answer.csv")
    assert list(tmp_path.iterdir()) == []


def test_runs_that_wait_are_noted(mine: Workspace) -> None:
    sealed_run(mine, manifest("r3"))
    result = _type(mine, "sql", "select count(*) c from runs", "--format", "csv")
    assert result.stdout == "c\n2\n"
    assert "note: 1 run is sealed on disk and not in this answer (observatory rebuild): r3" in (
        result.stderr
    )


def test_schema_lists_and_explains(kept: Workspace) -> None:
    assert "request_metrics" in _type(kept, "schema").stdout
    one = _type(kept, "schema", "samples").stdout
    assert "One reading of one sensor" in one and "at_ns" in one
    parsed = json.loads(_type(kept, "schema", "runs", "--json").stdout)
    assert parsed[0]["columns"][0] == {
        "name": "run_id", "type": "VARCHAR", "comment": "run this row belongs to",
    }  # fmt: skip
    with pytest.raises(
        BadInput, match=r"no table, view or macro is called 'run' — one of request_metrics"
    ):
        _type(kept, "schema", "run")


def test_schema_explains_a_macro_by_its_parameters(kept: Workspace) -> None:
    found = _type(kept, "schema", "reprice").stdout
    assert found.startswith("table macro reprice(as_of := NULL, tier := NULL")
    assert "service tier; null: the one that each run had" in found
    assert "blended_usd_per_million" in _type(kept, "schema").stdout
    parameters = json.loads(_type(kept, "schema", "break_even", "--json").stdout)["parameters"]
    assert [one["name"] for one in parameters][:2] == ["self_run", "api_run"]


def test_schema_markdown_is_the_docs_page(kept: Workspace) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "schema.md"
    assert _type(kept, "schema", "--markdown").stdout == page.read_text(encoding="utf-8")


def test_export_of_the_last_campaign(kept: Workspace, tmp_path: Path) -> None:
    _type(kept, "export", "last", "--to", "out", "--table", "requests", "--table", "runs")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "requests.parquet",
        "runs.parquet",
    ]
    assert pl.read_parquet(tmp_path / "out" / "requests.parquet").height == 6
    _type(kept, "export", "run_summary", "--format", "csv")
    assert (tmp_path / "export-run_summary" / "run_summary.csv").read_text().count("\n") == 3


def test_export_of_a_run_that_waits_says_what_to_do(mine: Workspace) -> None:
    sealed_run(mine, manifest("r3", created_utc="2026-11-21T09:00:00Z", campaign_id="c3"))
    with pytest.raises(BadInput, match=r"r3: is not in the database yet — observatory rebuild"):
        _type(mine, "export", "last")


def test_rebuild_makes_the_database_again(mine: Workspace) -> None:
    before = _type(mine, "sql", "from stage_metrics order by all", "--format", "csv").stdout
    assert before.count("\n") > 100
    mine.database.unlink()
    assert "observatory.duckdb: 2 runs" in _type(mine, "rebuild").stdout
    assert _type(mine, "sql", "from stage_metrics order by all", "--format", "csv").stdout == before


def test_rebuild_names_a_changed_file_and_keeps_the_others(mine: Workspace) -> None:
    (mine.runs / "r1" / "samples.parquet").write_bytes(b"forged")
    with pytest.raises(EnvironmentFailed, match=r"left out: .*r1/samples.parquet: has changed"):
        _type(mine, "rebuild")
    assert _type(mine, "sql", "select run_id from runs", "--format", "csv").stdout == "run_id\nr2\n"


def test_runs_are_listed_with_status_and_verdict(kept: Workspace) -> None:
    shown = _type(kept, "runs", "list").stdout
    assert "r1 (emulated)" in shown and "degraded" in shown and "complete" in shown
    rows = json.loads(_type(kept, "runs", "list", "--json").stdout)
    assert [(row["run"], row["status"], row["verdict"], row["requests"]) for row in rows] == [
        ("r1", "complete", "degraded", 3),
        ("r2", "complete", "degraded", 3),
    ]


def test_a_run_without_a_verdict_is_listed_without_one(mine: Workspace) -> None:
    sealed_run(mine, manifest("r3", created_utc="2026-11-21T09:00:00Z", verdict=None))
    rows = json.loads(_type(mine, "runs", "list", "--json").stdout)
    assert {row["run"]: row["verdict"] for row in rows} == {
        "r1": "degraded",
        "r2": "degraded",
        "r3": None,
    }


def test_an_empty_workspace_says_so(tmp_path: Path) -> None:
    assert "No runs in" in _type(workspace_in(tmp_path), "runs", "list").stdout


def test_a_run_that_cannot_be_read_is_listed_with_its_problem(mine: Workspace) -> None:
    (mine.runs / "r2" / "manifest.json").write_text("{")
    shown = _type(mine, "runs", "list").stdout
    assert "unreadable" in shown
    output = _type(
        mine, "runs", "list", "--json"
    ).stdout  # a cell of the table cuts a long path off
    assert "the manifest is damaged" in output
    assert [row["status"] for row in json.loads(output)] == [
        "unreadable",
        "complete",
    ]


def test_a_run_is_shown_with_its_findings(kept: Workspace) -> None:
    shown = _type(kept, "runs", "show", "r1").stdout
    for text in (
        "emulated-api (emulated): emulated, managed, closed weights, billed by tokens",
        "Degraded: the client was busy.",
        "degraded: stage 1, 2 users: a worker was busy (client_cpu)",
        "2 users, 7.0 s steady, 3 requests",
    ):
        assert text in shown
    parsed = json.loads(_type(kept, "runs", "show", "last", "--json").stdout)
    assert [entry["manifest"]["run_id"] for entry in parsed] == ["r1", "r2"]


def test_a_label_is_given_found_and_removed(mine: Workspace) -> None:
    _type(mine, "runs", "label", "r1", "baseline")
    assert [
        r["run"] for r in json.loads(_type(mine, "runs", "show", "baseline", "--json").stdout)
    ] == ["r1"]
    _type(mine, "runs", "label", "baseline", "--remove")
    with pytest.raises(BadInput, match="called 'baseline'"):
        _type(mine, "runs", "show", "baseline")
    with pytest.raises(BadInput, match="give a label, or --remove"):
        _type(mine, "runs", "label", "r1")


def test_a_note_is_written_shown_and_removed(mine: Workspace) -> None:
    written = _type(mine, "runs", "note", "r1", "fan broken")
    assert written.stdout == "r1: fan broken\n"
    assert "notes     fan broken" in _type(mine, "runs", "show", "r1").stdout
    assert _type(mine, "runs", "note", "r1", "--remove").stdout == "r1: no note\n"
    assert "fan broken" not in _type(mine, "runs", "show", "r1").stdout
    with pytest.raises(BadInput, match="give a note, or --remove"):
        _type(mine, "runs", "note", "r1")


def test_deleting_asks_and_a_script_must_say_yes(mine: Workspace) -> None:
    with pytest.raises(BadInput, match="no terminal to confirm on — add --yes"):
        _type(mine, "runs", "delete", "r1")
    assert (mine.runs / "r1").is_dir()
    assert _type(mine, "runs", "delete", "r1", "--yes").stdout == "deleted r1\n"
    assert not (mine.runs / "r1").exists()
    assert _type(mine, "sql", "select run_id from runs", "--format", "csv").stdout == "run_id\nr2\n"


def test_every_verbs_help_ends_with_an_example(kept: Workspace) -> None:
    verbs = (["sql"], ["schema"], ["export"], ["rebuild"], *(
        ["runs", verb] for verb in ("list", "show", "label", "delete")
    ))  # fmt: skip
    for words in verbs:
        shown = CliRunner().invoke(APP, [*words, "--help"]).stdout
        assert f"Example: observatory {' '.join(words)}" in shown, words


def test_help_needs_no_heavy_import() -> None:
    check = (
        "import sys; from observatory.cli.results import sql, schema, export, rebuild, runs;"
        "print(sorted({'polars', 'duckdb', 'rich.table', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
