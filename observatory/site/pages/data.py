"""What can be downloaded, how to query it, and the schema of the database."""

from collections.abc import Iterator

from observatory.site.downloads import EXAMPLES, write_downloads
from observatory.site.pages.page import Document, Results
from observatory.site.queries import run_queries as queries
from observatory.store.schema.tables import TABLES


def documents(results: Results) -> Iterator[Document]:
    """Make data.html, the files that it offers, and schema.html."""
    downloads = write_downloads(results.reader, results.out) if results.reader else []
    yield Document("data.html", "data.html", {"downloads": downloads, "examples": EXAMPLES})
    views = queries.view_columns(results.reader) if results.reader else []
    yield Document("schema.html", "schema.html", {"tables": TABLES, "views": views})
