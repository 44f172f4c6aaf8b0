"""A copy of the package that a test may add a file and a table line to, as a contributor would."""

import shutil
from pathlib import Path

import observatory
from tests.live.harness import Workspace


def copy_product(workspace: Workspace) -> Path:
    """Copy the package into the workspace, whose commands run the copy from now on; return its folder."""
    here = Path(observatory.__file__).parent
    folder = workspace.root / "product" / "observatory"
    shutil.copytree(here, folder)
    for part in ("loadtests", "site", "scenarios", "tools"):
        (folder.parent / part).symlink_to(here.parent / part, target_is_directory=True)
    workspace.environment["PYTHONPATH"] = str(folder.parent)
    workspace.environment["PYTHONSAFEPATH"] = "1"
    workspace.copied = True
    return folder


def add_line(path: Path, after: str, line: str) -> None:
    """Add `line` behind the one line of the file that is `after`, with its indentation."""
    lines = path.read_text(encoding="utf-8").splitlines()
    (place,) = [number for number, text in enumerate(lines) if text.strip() == after]
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    lines.insert(place + 1, f"{indent}{line}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
