"""PAGES: every page of the site, in the order of the navigation.

A new page is a file of this folder, its template in site/templates and a line of the table.
"""

from observatory.site.pages import (
    data,
    energy,
    matrices,
    methodology,
    money,
    overview,
    runs,
)
from observatory.site.pages.page import Page

PAGES: tuple[Page, ...] = (
    Page("overview", "Overview", "index.html", overview.documents),
    Page("matrices", "Matrices", "matrices.html", matrices.documents),
    Page("money", "Money", "money.html", money.documents),
    Page("energy", "Energy", "energy.html", energy.documents),
    Page("runs", "Runs", "runs.html", runs.documents),
    Page("methodology", "Methodology", "methodology.html", methodology.documents),
    Page("data", "Data", "data.html", data.documents),
)
