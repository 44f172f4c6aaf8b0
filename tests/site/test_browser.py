"""The built site in a real browser, opened from disk: drawn, quiet, alone, and no wider than it is."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.site.seeds import EVERYTHING

pytestmark = pytest.mark.live

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRAWN = """() => [...document.querySelectorAll('figure .canvas')]
    .every(canvas => canvas.closest('figure').dataset.drawn)
    && !document.querySelector('html:not([data-drawn]) .canvas')"""
EMPTY_CHARTS = """() => [...document.querySelectorAll('figure')]
    .filter(figure => figure.querySelector('script.spec'))
    .filter(figure => !figure.querySelector(
        '.canvas svg [role=graphics-symbol][aria-roledescription*=mark], .canvas svg '
        + ':is(.mark-line, .mark-symbol, .mark-rect) path[d]:not([d=""])'))
    .map(figure => figure.id)"""
WIDER = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
TEXT_COLOUR = "() => getComputedStyle(document.body).backgroundColor"


@dataclass
class Watched:
    """A page with everything that it said or asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


def watch(browser: Any, scheme: str, width: int) -> Watched:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    watched = Watched(context.new_page())
    watched.page.on("console", lambda message: watched.said.append(message.text))
    watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
    watched.page.on("request", lambda request: watched.asked.append(request.url))
    return watched


def pages_of(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_drawn_from_disk(browser: Any, built: Path, scheme: str, width: int) -> None:
    watched = watch(browser, scheme, width)
    pages = pages_of(built)
    assert len(pages) == 8 + len(EVERYTHING)  # five, energy, the matrices and one of them
    for path in pages:
        watched.page.goto(path.as_uri())
        watched.page.wait_for_function(DRAWN, timeout=60_000)
        assert watched.said == [], path.name
        assert watched.page.evaluate(EMPTY_CHARTS) == [], path.name
        assert watched.page.evaluate(WIDER) == 0, path.name
    inside = built.as_uri()
    assert [url for url in watched.asked if not url.startswith((inside, "data:,"))] == []
    dark = watched.page.evaluate(TEXT_COLOUR) == "rgb(15, 19, 23)"
    assert dark == (scheme == "dark")
    watched.page.context.close()


def test_charts_follow_the_scheme_and_print_light_without_being_drawn_anew(
    browser: Any, built: Path
) -> None:
    watched = watch(browser, "dark", 1280)
    watched.page.goto((built / "index.html").as_uri())
    watched.page.wait_for_function(DRAWN, timeout=60_000)
    label = watched.page.locator("figure .canvas svg text").first
    colour = "element => getComputedStyle(element).fill"
    dark = label.evaluate(colour)
    watched.page.emulate_media(color_scheme="light")
    light = label.evaluate(colour)
    watched.page.emulate_media(media="print", color_scheme="dark")
    assert dark != light
    assert label.evaluate(colour) == light
    assert watched.page.locator("figure details table").first.is_visible()
    watched.page.context.close()


def test_a_mark_under_the_pointer_gives_its_numbers(browser: Any, built: Path) -> None:
    watched = watch(browser, "light", 1280)
    watched.page.goto((built / "index.html").as_uri())
    watched.page.wait_for_function(DRAWN, timeout=60_000)
    mark = watched.page.locator("figure .canvas svg path[aria-roledescription=point]").first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    tip = watched.page.locator("#tip")
    tip.wait_for(state="visible", timeout=5_000)
    assert "Requests" in tip.inner_text()
    assert "Verdict" in tip.inner_text()
    assert watched.said == []
    watched.page.context.close()


def test_sql_is_copied_by_a_button(browser: Any, built: Path) -> None:
    watched = watch(browser, "light", 390)
    watched.page.goto((built / "data.html").as_uri())
    button = watched.page.locator("button.copy").first
    button.click()
    watched.page.wait_for_function("() => document.querySelector('.copy').textContent !== 'Copy'")
    assert watched.page.evaluate("() => getSelection().toString()").startswith("SELECT")
    watched.page.context.close()


def test_without_scripts_every_number_is_still_there(browser: Any, built: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / "index.html").as_uri())
    page.locator("figure details summary").first.click()
    assert page.locator("figure details table").first.is_visible()
    assert "its numbers stand in the table" in page.locator("figure").first.inner_text()
    context.close()
