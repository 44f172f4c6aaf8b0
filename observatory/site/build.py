"""The whole site from one database: a pure function of the results, byte for byte.

Pages are made in a new folder next to the old one and change places with it when they are whole.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from altair.utils.schemapi import debug_mode
from jinja2 import TemplateError

from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace, shipped
from observatory.presentation.figures import BASES
from observatory.site.bundle import write_assets
from observatory.site.pages.page import Document, Results
from observatory.site.pages.run import moment
from observatory.site.pages.table import PAGES
from observatory.site.queries.reader import open_reader, shown_runs
from observatory.site.queries.run_row import RunRow
from observatory.site.replaced_folder import replaced_folder
from observatory.site.target_styles import styles_of
from observatory.site.templating import page_environment
from observatory.store.folder.seals import changed_since_sealed

MARKER = ".observatory-site"
"""A file that marks the folder as built: it may be replaced."""


@dataclass(slots=True)
class _Writer:
    """Makes files of documents. shared: the values that every template reads."""

    templates: Any
    out: Path
    own_sources: Path | None
    """Where the person's own templates lie, None where they are the shipped ones."""
    shared: dict[str, Any] = field(default_factory=dict)

    def write(self, document: Document, current: str) -> None:
        """Write one file; `current` is the name of the page that it is of."""
        template, path = document.template, document.path
        root = "../" * path.count("/")
        try:
            page = self.templates.get_template(template)
            html = page.render(
                root=root, path=path, current=current, **self.shared, **document.values
            )
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
    database is held by a writer. A missing database gives a site that explains what to do.
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


def _as_on_disk(workspace: Workspace, runs: list[RunRow]) -> list[RunRow]:
    """Return the runs, marked where a folder has changed since the database took it in."""
    return [
        replace(run, changed_since_sealed=changed_since_sealed(folder))
        if (folder := workspace.runs / run.run_id).is_dir() and not run.changed_since_sealed
        else run
        for run in runs
    ]


def _fill(workspace: Workspace, out: Path, *, only_published: bool, show_host: bool) -> None:
    sources = workspace.site_sources
    write_assets(sources, out)
    (out / MARKER).write_text("Built by `observatory site build`; replaced as a whole.\n")
    own = None if sources.samefile(shipped("site")) else sources
    writer = _Writer(page_environment(sources), out, own)
    with open_reader(workspace, only_published=only_published, show_host=show_host) as reader:
        runs = _as_on_disk(workspace, shown_runs(reader)) if reader else []
        results = Results(reader, runs, styles_of(runs), out, show_host)
        writer.shared = {
            "navigation": PAGES,
            "total": len(runs),
            "latest": moment(runs[0].created_at) if runs else None,
            "only_published": only_published,
            "bases": BASES,
        }
        for page in PAGES:
            for document in page.documents(results):
                writer.write(document, page.name)
