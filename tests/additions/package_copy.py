"""A copy of the package to which a test adds a part, as a contributor would: a file and a line of a table."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
COPIED = ("observatory", "scenarios", "site", "loadtests")
PATIENCE_S = 400


@dataclass(frozen=True, slots=True)
class PackageCopy:
    """A checkout in a temporary folder, and a workspace beside it that its commands run in."""

    root: Path
    workspace: Path

    def add(self, path: str, text: str) -> None:
        """Write a new file; its path is from the root of the checkout."""
        target = self.root / path
        assert not target.exists(), f"{path} is no addition"
        target.write_text(text, encoding="utf-8")

    def insert(self, path: str, after: str, text: str) -> None:
        """Insert text behind the one line that begins with `after`."""
        target = self.root / path
        lines = target.read_text(encoding="utf-8").splitlines(keepends=True)
        [place] = [number for number, line in enumerate(lines) if line.startswith(after)]
        lines.insert(place + 1, text)
        target.write_text("".join(lines), encoding="utf-8")

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment in which Python imports the copy."""
        return {**os.environ, "PYTHONPATH": str(self.root), **variables}

    def python(self, *arguments: str, **variables: str) -> str:
        """Run Python with those arguments in the workspace; return its standard output."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.workspace,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode in (0, 3), done.stdout + done.stderr
        return done.stdout

    def observatory(self, *arguments: str, **variables: str) -> str:
        """Run a verb; return its standard output. A run that was measured and is invalid exits with 3."""
        return self.python("-m", "observatory", *arguments, **variables)


def copy_package(folder: Path) -> PackageCopy:
    """Copy what an installation needs into `folder`."""
    root, workspace = folder / "checkout", folder / "workspace"
    workspace.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "dist")
    for name in COPIED:
        shutil.copytree(CHECKOUT / name, root / name, ignore=ignored)
    return PackageCopy(root, workspace)
