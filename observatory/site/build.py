"""The whole site from one database: a pure function of the results, byte for byte.

Pages are made in a new folder beside the old one and change places with it when they are whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from altair.utils.schemapi import debug_mode
from jinja2 import TemplateError

from observatory.analysis.thresholds import THRESHOLDS
from observatory.core.errors import BadInput
from observatory.core.metric import FLOORS, METRICS
from observatory.core.run import status_words
from observatory.core.workspace import Workspace, shipped
from observatory.presentation.figures import BASES, Row
from observatory.site.bundle import write_assets
from observatory.site.downloads import EXAMPLES, Download, write_downloads
from observatory.site.engines import engine_name
from observatory.site.members import UNJUDGED, changed_words, page_of
from observatory.site.pages.energy import energy_sections
from observatory.site.pages.matrix import matrix_campaigns, matrix_page
from observatory.site.pages.money import money_sections
from observatory.site.pages.overview import sections
from observatory.site.pages.run import moment, run_page
from observatory.site.queries import run_queries as queries
from observatory.site.replaced_folder import replaced_folder
from observatory.site.sections.limits_found import limit_table
from observatory.site.target_styles import Look, group_of, looks_of
from observatory.site.templating import page_environment
from observatory.store.seals import changed_since_sealed

MARKER = ".observatory-site"
"""A file that says: this folder was built and may be replaced."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list of runs."""

    run: Row
    look: Look
    group: str
    verdict: str
    started: str
    page: str
    engine: str | None
    status: str
    changed: str = ""


@dataclass(slots=True)
class _Site:
    """What every page is told."""

    templates: Any
    out: Path
    own_sources: Path | None
    """Where the person's own templates lie, None where they are the shipped ones."""
    shared: dict[str, Any] = field(default_factory=dict)

    def write(self, template: str, path: str, **values: Any) -> None:
        root = "../" * path.count("/")
        try:
            page = self.templates.get_template(template)
            html = page.render(root=root, path=path, **self.shared, **values)
        except TemplateError as error:
            if self.own_sources is None:
                raise
            raise BadInput(
                f"the page cannot be made from this workspace's templates: {error.message}",
                where=str(self.own_sources / "templates" / template),
                fix="take your changes over into the shipped template (observatory init in a new "
                "folder has it), or delete yours",
            ) from error
        target = self.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")


def build_site(
    workspace: Workspace,
    out: Path | None = None,
    *,
    only_published: bool = False,
    show_host: bool = False,
) -> Path:
    """Build the site of the workspace's database into `out` (default: site/dist); answers `out`.

    BadInput where `out` holds something that was not built here; EnvironmentFailed where the
    database is held by a writer. A missing database gives a site that says what to do.
    """
    target = (out or workspace.site_output).resolve()
    _refuse_foreign(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Altair would validate every part of every chart against its schema.
    with replaced_folder(target) as fresh, debug_mode(False):
        _fill(workspace, fresh, only_published=only_published, show_host=show_host)
    return target


def _refuse_foreign(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise BadInput(
            "this is a file, not a folder", where=str(target), fix="choose another --out"
        )
    if any(target.iterdir()) and not (target / MARKER).is_file():
        raise BadInput(
            "the folder holds files that no site build wrote, and would be replaced",
            where=str(target),
            fix="choose an empty or a new folder with --out",
        )


def _as_on_disk(workspace: Workspace, runs: list[Row]) -> list[Row]:
    """The runs, marked where a folder has changed since the database took it in."""
    for run in runs:
        folder = workspace.runs / str(run["run_id"])
        if folder.is_dir() and not run["changed_since_sealed"]:
            run["changed_since_sealed"] = changed_since_sealed(folder)
    return runs


def _fill(workspace: Workspace, out: Path, *, only_published: bool, show_host: bool) -> None:
    sources = workspace.site_sources
    write_assets(sources, out)
    (out / MARKER).write_text("Built by `observatory site build`; replaced as a whole.\n")
    own = None if sources.samefile(shipped("site")) else sources
    site = _Site(page_environment(sources), out, own)
    with queries.open_reader(
        workspace, only_published=only_published, show_host=show_host
    ) as reader:
        runs = _as_on_disk(workspace, queries.runs(reader)) if reader else []
        looks = looks_of(runs)
        listed = list(_listed(runs, looks))
        site.shared = {
            "total": len(runs),
            "latest": moment(runs[0]["created_at"]) if runs else None,
            "only_published": only_published,
            "bases": BASES,
        }
        shown = sections(reader, runs, looks) if reader else []
        limits = limit_table(reader, runs) if reader else None
        site.write("index.html", "index.html", sections=shown, limits=limits, current="overview")
        money = money_sections(reader, shown) if reader else []
        site.write("money.html", "money.html", sections=money, current="money")
        energy = energy_sections(reader, shown) if reader else []
        site.write("energy.html", "energy.html", sections=energy, current="energy")
        _matrix_pages(site, reader, runs, looks)
        site.write("runs.html", "runs.html", listed=listed, current="runs")
        downloads: list[Download] = []
        views: list[Row] = []
        if reader:
            for run in runs:
                page = run_page(reader, run, looks, show_host=show_host)
                site.write("run.html", page_of(run["run_id"]), page=page, current="runs")
            downloads = write_downloads(reader, out)
            views = queries.view_columns(reader)
        _reference_pages(site, downloads, views)


def _matrix_pages(
    site: _Site, reader: queries.Reader | None, runs: list[Row], looks: dict[str, Look]
) -> None:
    pages = [matrix_page(reader, own, looks) for own in matrix_campaigns(runs)] if reader else []
    site.write("matrices.html", "matrices.html", pages=pages, current="matrices")
    for page in pages:
        site.write("matrix.html", page.path, page=page, current="matrices")


def _reference_pages(site: _Site, downloads: list[Download], views: list[Row]) -> None:
    from observatory.store.schema import TABLES

    site.write(
        "methodology.html",
        "methodology.html",
        metrics=METRICS,
        floors=FLOORS,
        thresholds=THRESHOLDS,
        current="methodology",
    )
    site.write("data.html", "data.html", downloads=downloads, examples=EXAMPLES, current="data")
    site.write("schema.html", "schema.html", tables=TABLES, views=views, current="data")


def _listed(runs: list[Row], looks: dict[str, Look]) -> Iterator[Listed]:
    for run in runs:
        verdict = str(run["verdict"] or UNJUDGED)
        look, started = looks[run["target"]], moment(run["created_at"])
        page, engine = page_of(run["run_id"]), engine_name(run)
        status = status_words(run["status"], run["status_reason"])
        changed = changed_words(run)
        yield Listed(run, look, group_of(run), verdict, started, page, engine, status, changed)
