"""Another user's results: reading works where the files may be read, and what may not be done is one line."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from observatory.analysis.stage_metrics import run_figures
from observatory.store.ingest.warehouse import ingest
from tests.live.harness import PATIENCE_S
from tests.store.made_runs import manifest, record, sealed_run, workspace_in

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user"),
]
NOBODY = "65534"
HERE = Path(__file__).resolve().parents[2]
SHORT = """name: short
seed: 1
workload: {kind: tasks, tasks: [support-tickets]}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 1s, steady: 2s, drain: 1s}
telemetry: {codecarbon: false}
targets: [{kind: emulated, name: emulated-a}]
"""


@pytest.fixture(scope="module")
def theirs() -> Iterator[Path]:
    """A workspace of root's, with one run, which others may read and not write.

    Not below pytest's folder, which every session of pytest closes to others.
    """
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        root.chmod(0o755)
        space = workspace_in(root)
        sealed_run(space, manifest("r1"), [record(place) for place in range(35)])
        ingest(space, space.runs / "r1", run_figures)
        (root / "scenarios").mkdir()
        (root / "scenarios" / "short.yaml").write_text(SHORT)
        yield root


def typed(root: Path, *commands: str) -> list[tuple[int, str, str]]:
    """Return exit code, output and errors of each command, run as the user `nobody`."""
    given = [[*words.split(" "), "--results", str(root / "results")] for words in commands]
    found = subprocess.run(
        [sys.executable, "-m", "tests.live.as_another_user", NOBODY],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(HERE), "HOME": "/nonexistent"},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return [(code, out, err) for code, out, err in json.loads(found.stdout)]


READ = ("runs list", "runs show r1", "cost last", "sql FROM\truns")
WRITTEN = (
    "run short",
    "rebuild",
    "runs label last mine",
    "runs note last word",
    "runs delete r1 --yes",
    "export last --to here",
    "site build --out site",
    "prices update",
)


def test_what_may_be_read_is_shown_and_what_may_not_be_written_is_one_line(theirs: Path) -> None:
    before = sorted(str(path) for path in theirs.rglob("*"))
    found = dict(zip((*READ, *WRITTEN), typed(theirs, *READ, *WRITTEN), strict=True))
    for words in READ:
        code, out, err = found[words]
        assert (code, "r1" in out) == (0, True), (words, err)
    for words in WRITTEN:
        code, out, err = found[words]
        assert code == 4, (words, out, err)
        last = err.strip().splitlines()[-1]
        assert "Permission denied" in last and "check who owns" in last, (words, err)
        assert "Traceback" not in err
    assert sorted(str(path) for path in theirs.rglob("*")) == before


def test_files_that_may_not_be_read_are_named(theirs: Path) -> None:
    database, folder = theirs / "results" / "observatory.duckdb", theirs / "results" / "runs" / "r1"
    database.chmod(0o600)
    folder.chmod(0o700)
    try:
        requested, listed = typed(theirs, "sql FROM\truns", "runs list")
    finally:
        database.chmod(0o644)
        folder.chmod(0o755)
    assert requested[0] == 4
    assert "observatory.duckdb: Permission denied — check who owns the folder" in requested[2]
    assert (listed[0], "Permission denied" in listed[1]) == (0, True)
