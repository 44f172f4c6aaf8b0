"""A page is a file, its template and a line of PAGES: it is built, and every page links to it."""

import shutil

import pytest

from tests.live.harness import Workspace
from tests.live.product import add_line, copy_product

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


def add_moon(workspace: Workspace) -> None:
    product = copy_product(workspace)
    pages, sources = product / "site" / "pages", product.parent / "site"
    shipped = sources.resolve()
    sources.unlink()
    shutil.copytree(shipped, sources, ignore=shutil.ignore_patterns("dist"))
    (sources / "templates" / "moon.html").write_text(TEMPLATE)
    (pages / "moon.py").write_text(MOON)
    table = pages / "table.py"
    add_line(table, "money,", "moon,")
    energy = 'Page("energy", "Energy", "energy.html", energy.documents),'
    add_line(table, energy, 'Page("moon", "Moon", "moon.html", moon.documents),')


def test_a_new_page_is_built_and_in_the_navigation(workspace: Workspace) -> None:
    add_moon(workspace)
    workspace.run("site", "build")
    built = workspace.root / "site" / "dist"
    pages = {path.relative_to(built).as_posix(): path.read_text() for path in built.rglob("*.html")}
    assert {"moon.html", "moons/full.html", "index.html", "schema.html"} <= set(pages)
    for path, html in pages.items():
        root = "../" * path.count("/")
        assert f'<a href="{root}moon.html"' in html, path
    here = '<a href="moon.html" aria-current="page">Moon</a>'
    assert here in pages["moon.html"]
    assert here not in pages["index.html"]
    assert "<p>new moon</p><p>full moon</p>" in pages["moon.html"]
