"""Where a person's scenarios and results lie, and where the shipped ones do.

A workspace is a folder with scenarios/ (and, once used, results/); without one the shipped
scenarios are read and results go to ./results.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Literal

from observatory.core.errors import BadInput, EnvironmentFailed

RESULTS_VARIABLE = "OBSERVATORY_RESULTS"
CACHE_VARIABLE = "OBSERVATORY_CACHE"
NO_RING_VARIABLE = "OBSERVATORY_NO_IO_URING"
"""Set to anything, the load generator polls its connections instead of letting the kernel read them."""
SHIPPED = Literal["scenarios", "loadtests", "site"]


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one piece of work."""

    root: Path
    results: Path

    @property
    def scenarios(self) -> tuple[Path, ...]:
        """Folders searched for scenarios and targets.yaml, the person's own first."""
        own = self.root / "scenarios"
        shipped_folder = shipped("scenarios")
        return (own, shipped_folder) if own.resolve() != shipped_folder.resolve() else (own,)

    @property
    def runs(self) -> Path:
        """Return the folder of run folders."""
        return self.results / "runs"

    @property
    def campaigns(self) -> Path:
        """Return the folder of what belongs to a campaign while it runs."""
        return self.results / "campaigns"

    @property
    def database(self) -> Path:
        """Return the DuckDB file, derived from the run folders."""
        return self.results / "observatory.duckdb"

    @property
    def site_sources(self) -> Path:
        """Return the site's templates: the person's own where they exist, else the shipped ones."""
        own = self.root / "site"
        return own if (own / "templates").is_dir() else shipped("site")

    @property
    def site_output(self) -> Path:
        """Return where the site is built."""
        return self.root / "site" / "dist"

    @property
    def loadtests(self) -> Path:
        """Return the locustfiles: the person's own where they exist, else the shipped ones."""
        own = self.root / "loadtests"
        return own if (own / "chat.py").is_file() else shipped("loadtests")


def shipped(folder: SHIPPED) -> Path:
    """Return a folder shipped with the package: inside a wheel, or next to it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    bundled = package / "bundled" / folder
    return bundled if bundled.is_dir() else package.parent / folder


def open_workspace(results: Path | None = None, root: Path | None = None) -> Workspace:
    """Return the workspace here; results from the argument, else OBSERVATORY_RESULTS, else ./results."""
    try:
        base = (root or Path.cwd()).resolve()
        chosen = results or (Path(value) if (value := os.environ.get(RESULTS_VARIABLE)) else None)
        place = (chosen or base / "results").resolve()
    except OSError as error:
        raise EnvironmentFailed(
            f"the current folder cannot be used: {error.strerror}", fix="change to another folder"
        ) from error
    except (RuntimeError, ValueError) as error:  # a loop of links; a NUL
        raise BadInput(str(error), where=str(results), fix="choose another --results") from error
    for path, fix in (
        (base, "work in another folder"),
        (place, "choose another folder with --results"),
        (Path(gettempdir()), "set TMPDIR to another folder"),
    ):
        check_text(path, fix)
    # These never raise, as Path's may without the right to look.
    there = next(path for path in (place, *place.parents) if os.path.exists(path))  # noqa: PTH110
    if not os.path.isdir(there):  # noqa: PTH112
        raise EnvironmentFailed(
            "is no folder", where=str(there), fix="choose another folder with --results"
        )
    return Workspace(root=base, results=place)


def check_text(path: Path, fix: str) -> None:
    """Raise BadInput where a path is not text: it could be written into no JSON, YAML or database."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise BadInput("the path is not UTF-8", where=shown, fix=fix) from error


def cache_folder() -> Path:
    """Return where models are kept between runs: OBSERVATORY_CACHE, else the user's cache folder."""
    if value := os.environ.get(CACHE_VARIABLE):
        return Path(value)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "inference-observatory"
