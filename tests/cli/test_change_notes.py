"""Every verb that shows a run's figures names a run whose folder is not as it was sealed."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from observatory.analysis.stage_metrics import run_figures
from observatory.cli.main import app
from observatory.core.workspace import Workspace
from observatory.store.folder.manifest import MANIFEST_NAME, read_manifest
from observatory.store.folder.seals import write_seal
from observatory.store.ingest.rebuild import rebuild
from observatory.store.ingest.warehouse import ingest
from tests.empty_database import stock
from tests.store.made_runs import facts, manifest, record, sealed_run, workspace_in

HOUR = {
    "rows": [{"kind": "machine_hour", "usd": 2.0, "basis": "stated", "source": "contract"}],
    "basis": "stated",
}
CHANGED = f"changed since it was sealed: {MANIFEST_NAME}"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    space = stock(workspace_in(tmp_path_factory.mktemp("sealed")))
    own = facts("own", kind="llamacpp", hosting="self", billing="hours", emulated=False, price=HOUR)
    for run, target in (("r1", facts()), ("r2", own)):
        made = manifest(run, target=target, energy=[])
        sealed_run(space, made, [record(place) for place in range(35)])
        folder = space.runs / run
        write_seal(folder, read_manifest(folder))
        ingest(space, folder, run_figures)
    return space


@pytest.fixture
def changed(sealed: Workspace, tmp_path: Path) -> Workspace:
    """A copy in which the manifest of r1 was edited after the database had taken it in."""
    shutil.copytree(sealed.results, tmp_path / "results")
    space = workspace_in(tmp_path)
    path = space.runs / "r1" / MANIFEST_NAME
    path.write_text(path.read_text().replace('"seed": ', '"seed": 1'))
    return space


def typed(space: Workspace, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--results", str(space.results)])


@pytest.mark.parametrize(
    "words",
    [
        ("cost", "last"),
        ("breakeven", "own", "emulated-api"),
        ("export", "last", "--table", "runs"),
        ("export", "runs"),
        ("prices", "reprice", "--book", "run"),
        ("runs", "show", "r1"),
        ("runs", "list"),
    ],
    ids=" ".join,
)
def test_a_changed_run_is_named(
    changed: Workspace, sealed: Workspace, words: tuple[str, ...], tmp_path: Path
) -> None:
    to = ("--to", str(tmp_path / "out"), "--force") if words[0] == "export" else ()
    found = typed(changed, *words, *to)
    assert found.exit_code == 0, found.output
    assert CHANGED.lower() in " ".join(found.output.lower().split())
    untouched = typed(sealed, *words, *to)
    assert untouched.exit_code == 0, untouched.output
    assert "since it was sealed" not in untouched.output


def test_sql_names_the_runs_that_the_database_has_marked(changed: Workspace) -> None:
    rebuild(changed, run_figures)
    found = typed(changed, "sql", "SELECT 1", "--format", "csv")
    assert f"note: r1: {CHANGED}" in found.stderr
    assert found.stdout.split() == ["1", "1"]


def test_json_has_it_as_a_field(changed: Workspace) -> None:
    first, second = json.loads(typed(changed, "cost", "last", "--json").stdout)
    assert (first["changed_since_sealed"], second["changed_since_sealed"]) == (CHANGED, None)
    found = json.loads(typed(changed, "breakeven", "own", "emulated-api", "--json").stdout)
    assert found["changed_since_sealed"] == {"r1": CHANGED}
