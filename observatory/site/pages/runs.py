"""The list of all runs, and a page each."""

from collections.abc import Iterator
from dataclasses import dataclass

from observatory.core.run import status_words
from observatory.site.engines import engine_name
from observatory.site.members import UNJUDGED, changed_words, page_of
from observatory.site.pages.page import Document, Results
from observatory.site.pages.run import moment, run_page
from observatory.site.queries.run_row import RunRow
from observatory.site.target_styles import TargetStyle, group_of


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One line of the list."""

    run: RunRow
    style: TargetStyle
    group: str
    verdict: str
    started: str
    page: str
    engine: str | None
    status: str
    changed: str = ""

    @property
    def look(self) -> TargetStyle:
        """Return its style by the name that templates of older workspaces read."""
        return self.style


def documents(results: Results) -> Iterator[Document]:
    """Make runs.html and runs/RUN.html."""
    listed = [_listed(run, results.styles[run.target]) for run in results.runs]
    yield Document("runs.html", "runs.html", {"listed": listed})
    if results.reader is None:
        return
    for run in results.runs:
        page = run_page(results.reader, run, results.styles, show_host=results.show_host)
        yield Document(page_of(run.run_id), "run.html", {"page": page})


def _listed(run: RunRow, style: TargetStyle) -> ListedRun:
    return ListedRun(
        run,
        style,
        group_of(run),
        verdict=run.verdict or UNJUDGED,
        started=moment(run.created_at),
        page=page_of(run.run_id),
        engine=engine_name(run),
        status=status_words(run.status, run.status_reason),
        changed=changed_words(run),
    )
