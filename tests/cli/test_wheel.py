"""What a wheel carries: all that `observatory init` lays out, and nothing that was built or measured."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _tracked(folder: str) -> set[str]:
    done = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_wheel_carries_the_workspace_and_nothing_built(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {name for name in names if name.startswith("observatory/bundled/")}
    expected = _tracked("scenarios") | _tracked("loadtests") | _tracked("site")
    assert {name.removeprefix("observatory/bundled/") for name in shipped} == expected
    assert "observatory/workload/task_sets/arithmetic.jsonl" in names
    assert "observatory/py.typed" in names
    pins = _tracked("observatory/engines/pins")
    assert pins and pins <= names
    assert not [
        name for name in names if "__pycache__" in name or name.endswith((".duckdb", ".gguf"))
    ]
