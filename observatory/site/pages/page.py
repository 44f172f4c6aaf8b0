"""What a page is made of: an entry of the navigation, and documents made from the results."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from observatory.site.queries.reader import Reader
from observatory.site.queries.run_row import RunRow
from observatory.site.sections.campaign import Section, sections
from observatory.site.target_styles import TargetStyle


@dataclass(frozen=True)
class Results:
    """What pages are made from. reader: None where there is no database; runs: the latest first.

    out is the folder of the site, for files that are no pages. show_host: pages may name hosts.
    """

    reader: Reader | None
    runs: list[RunRow]
    styles: dict[str, TargetStyle]
    out: Path
    show_host: bool

    @cached_property
    def sections(self) -> list[Section]:
        """Return the latest campaign of each workload."""
        return sections(self.reader, self.runs, self.styles) if self.reader else []


@dataclass(frozen=True, slots=True)
class Document:
    """One HTML file: path from the site's root, its template, and the values that the template reads."""

    path: str
    template: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the navigation. path: what it links to; name marks it in the documents that are its own."""

    name: str
    title: str
    path: str
    documents: Callable[[Results], Iterator[Document]]
