"""A page is a file, its template and a line of PAGES: it is built, and every page links to it."""

import pytest

from tests.additions.package_copy import PackageCopy

pytestmark = pytest.mark.live

MOON = '''
"""The phases of the moon."""

from collections.abc import Iterator

from observatory.site.pages.page import Document, Results


def documents(results: Results) -> Iterator[Document]:
    """Make moon.html and a page below it."""
    yield Document("moon.html", "moon.html", {"phases": ["new", "full"]})
    yield Document("moons/full.html", "moon.html", {"phases": ["full"]})
'''
TEMPLATE = """{% extends "base.html" %}
{% block title %}Moon{% endblock %}
{% block main %}{% for phase in phases %}<p>{{ phase }} moon</p>{% endfor %}{% endblock %}
"""
TABLE = "observatory/site/pages/table.py"


def test_a_new_page_is_built_and_in_the_navigation(package: PackageCopy) -> None:
    package.add("observatory/site/pages/moon.py", MOON)
    package.add("site/templates/moon.html", TEMPLATE)
    package.insert(TABLE, "from observatory.site.pages import (", "    moon,\n")
    package.insert(
        TABLE, "PAGES: tuple", '    Page("moon", "Moon", "moon.html", moon.documents),\n'
    )
    package.observatory("site", "build")
    built = package.workspace / "site" / "dist"
    pages = {path.relative_to(built).as_posix(): path.read_text() for path in built.rglob("*.html")}
    assert {"moon.html", "moons/full.html", "index.html", "schema.html"} <= set(pages)
    for path, html in pages.items():
        root = "../" * path.count("/")
        assert f'<a href="{root}moon.html"' in html, path
    here = '<a href="moon.html" aria-current="page">Moon</a>'
    assert here in pages["moon.html"]
    assert here not in pages["index.html"]
    assert "<p>new moon</p><p>full moon</p>" in pages["moon.html"]
