"""The list of matrix campaigns, and a page each."""

from collections.abc import Iterator

from observatory.site.pages.matrix import matrix_campaigns, matrix_page
from observatory.site.pages.page import Document, Results


def documents(results: Results) -> Iterator[Document]:
    """Make matrices.html and matrices/CAMPAIGN.html."""
    reader, styles = results.reader, results.styles
    campaigns = matrix_campaigns(results.runs) if reader else []
    pages = [matrix_page(reader, own, styles) for own in campaigns] if reader else []
    yield Document("matrices.html", "matrices.html", {"pages": pages})
    for page in pages:
        yield Document(page.path, "matrix.html", {"page": page})
