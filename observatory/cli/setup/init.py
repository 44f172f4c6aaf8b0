"""`observatory init`: lay out a workspace of one's own from what the package ships."""

from pathlib import Path
from typing import Annotated

import typer

from observatory.cli.console import echo
from observatory.core.counted_nouns import count_of
from observatory.core.errors import EnvironmentFailed
from observatory.core.workspace import shipped

RESULTS_README = """\
# Results

What `observatory run` measured. Nothing here is written by hand.

- `runs/<run id>/`: one folder a run: `manifest.json` (what was requested, of what, on which machine,
  with what verdict), the sealed Parquet files with their hashes, the engine's and Locust's logs.
  This is the truth.
- `campaigns/<campaign id>/`: what belongs to a campaign while it runs.
- `prices/`: the price ledger and your price file, each version as it was first seen.
- `observatory.duckdb`: everything in one database, derived from the run folders.
  `observatory rebuild` makes it again.

Look into it with `observatory sql "select * from run_summary"` and `observatory schema`.
Delete runs with `observatory runs delete`.
"""
GITIGNORE = """\
results/*
!results/README.md
site/dist/
.cache/
"""
_SKIPPED = frozenset({"__pycache__", "dist"})


def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are already there.")
    ] = False,
) -> None:
    """Lay out a workspace: scenarios, locustfiles and site sources to change as you like.

    Files that are already there are kept, unless --force is given.

    Example: observatory init my-benchmarks
    """
    written, kept = 0, []
    try:
        for relative, content in _files():
            path = folder / relative
            if path.exists() and not force:
                kept.append(relative)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written += 1
    except OSError as error:
        raise EnvironmentFailed(
            f"cannot be written: {error.strerror}", where=str(error.filename or folder)
        ) from error
    echo(f"{count_of(written, 'file')} written to {folder.resolve()}")
    if kept:
        echo(
            f"{count_of(len(kept), 'file was', 'files were')} already there and kept (--force replaces them):"
        )
        for relative in kept[:10]:
            echo(f"  {relative}")
        if len(kept) > 10:
            echo(f"  ... and {len(kept) - 10} more")
    echo(_next_steps(folder))


def _files() -> list[tuple[Path, bytes]]:
    """Return every file of a workspace, read before any is written: path from its root, content."""
    files = [
        (Path("results/README.md"), RESULTS_README.encode()),
        (Path(".gitignore"), GITIGNORE.encode()),
    ]
    for name in ("scenarios", "loadtests", "site"):
        source = shipped(name)
        for path in sorted(source.rglob("*")):
            relative = path.relative_to(source)
            if path.is_file() and not _SKIPPED.intersection(relative.parts):
                files.append((Path(name) / relative, path.read_bytes()))
    return files


def _next_steps(folder: Path) -> str:
    enter = "" if folder.resolve() == Path.cwd() else f"  cd {folder}\n"
    return (
        "Next:\n"
        f"{enter}"
        "  observatory doctor                # what this machine can measure\n"
        "  observatory run quickstart        # a first campaign, no key, about 4 minutes\n"
        "  observatory scenario list         # what else there is; edit scenarios/targets.yaml\n"
        "Editors that know YAML schemas (VS Code with the YAML extension) check scenarios as you type."
    )
