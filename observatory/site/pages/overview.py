"""The front page: for each workload the latest campaign, its targets side by side."""

from collections.abc import Iterator

from observatory.site.pages.page import Document, Results
from observatory.site.sections.limits_found import limit_table


def documents(results: Results) -> Iterator[Document]:
    """Make index.html."""
    limits = limit_table(results.reader, results.runs) if results.reader else None
    yield Document("index.html", "index.html", {"sections": results.sections, "limits": limits})
