"""How every figure is defined, and when it is doubted."""

from collections.abc import Iterator

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.metric import FLOORS, METRICS
from observatory.site.pages.page import Document, Results


def documents(_: Results) -> Iterator[Document]:
    """Make methodology.html."""
    values = {"metrics": METRICS, "floors": FLOORS, "thresholds": THRESHOLDS}
    yield Document("methodology.html", "methodology.html", values)
