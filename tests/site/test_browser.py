"""The built site in a real browser, opened from disk: drawn, quiet, alone, and no wider than it is."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.billing import serving
from observatory.core.money.demand import PEAK_TO_MEAN, Demand
from observatory.core.workspace import Workspace
from observatory.presentation import break_even_text
from observatory.site.queries.reader import open_reader
from observatory.site.sections.break_even import VOLUMES, plan_facts
from observatory.store.queries.money_rows import MoneyRow
from observatory.store.queries.typed_rows import columns_of
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
    """A page with its console messages and its requests."""

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


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(1280, "dark", marks=pytest.mark.soak),
        pytest.param(390, "light", marks=pytest.mark.soak),
    ],
)
def test_every_page_is_drawn_from_disk(browser: Any, built: Path, scheme: str, width: int) -> None:
    watched = watch(browser, scheme, width)
    pages = pages_of(built)
    assert len(pages) == 9 + len(EVERYTHING)  # five, energy, the matrices and one of them
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


DEMANDS = (
    {"requests_a_day": 250_000.0},
    {"requests_a_day": 1.0, "peak_to_mean": 4.0, "spare_replicas": 0},
    {"tokens_a_day": 5e7, "peak_to_mean": 2.5, "spare_replicas": 3},
    {"api_bill_usd_a_day": 40.0, "peak_to_mean": 1.0, "spare_replicas": 2},
    {
        "requests_a_day": 400_000.0,
        "hourly_shares": [0.0] * 8 + [1 / 8] * 4 + [1 / 16] * 8 + [0.0] * 4,
    },
    {"api_bill_usd_a_month": 900.0, "assumption": "scale_to_zero", "peak_to_mean": 2.0},
    {"requests_a_day": 7.7e8, "assumption": "scale_to_zero"},
    {
        "requests_a_day": 9e6,
        "assumption": "active_window",
        "active_hours": 8.0,
        "peak_to_mean": 2.0,
    },
)


def test_a_reader_who_changes_an_input_gets_what_the_observatory_would_say(
    browser: Any, whole: Workspace, built: Path
) -> None:
    """The page's own arithmetic against economics', over volumes, shapes and assumptions."""
    watched = watch(browser, "light", 1280)
    watched.page.goto((built / "money.html").as_uri())
    watched.page.wait_for_function(DRAWN, timeout=60_000)
    rows = money_rows(whole)
    plans = watched.page.locator(".plan")
    assert plans.count() > 1
    for place in range(plans.count()):
        plan = plans.nth(place)
        names = plan.evaluate("p => JSON.parse(p.querySelector('.plan-data').textContent).names")
        own, bought = pair_of(rows, names)
        for stated in DEMANDS:
            one = serving.answer(own, bought, Demand.model_validate(stated))
            fill(plan, stated)
            assert plan.locator(".answer").inner_text() == break_even_text.sentence(one)
            assert plan.locator(".interval").inner_text() == break_even_text.interval(one)
            facts = {key: value for key, _, value in plan_facts(one)}
            shown = {key: plan.locator(f"[data-fact={key}]").inner_text() for key in facts}
            assert shown == facts
    assert watched.said == []
    watched.page.context.close()


def money_rows(whole: Workspace) -> list[MoneyRow]:
    with open_reader(whole) as reader:
        assert reader is not None
        return reader.typed(MoneyRow, f"SELECT {columns_of(MoneyRow)} FROM money_per_run")


def pair_of(rows: list[MoneyRow], names: dict[str, str]) -> tuple[MoneyRow, MoneyRow]:
    """The rows of a plan: those with its targets' names and the same prompts."""
    pairs = [
        (own, bought)
        for own in rows
        for bought in rows
        if own.target == names["own"]
        and bought.target == names["bought"]
        and serving.refusal(own, bought) is None
    ]
    assert len(pairs) == 1
    return pairs[0]


def fill(plan: Any, stated: dict[str, Any]) -> None:
    """Every input as the demand has it."""
    [kind] = [name for name in stated if name in VOLUMES]
    before = int(plan.evaluate("p => p.dataset.updated ?? '0'"))
    values = {
        "kind": kind,
        "amount": stated[kind],
        "peak_to_mean": stated.get("peak_to_mean", PEAK_TO_MEAN),
        "hourly_shares": ", ".join(map(repr, stated.get("hourly_shares", []))),
        "spare_replicas": stated.get("spare_replicas", 1),
        "assumption": stated.get("assumption", "always_on"),
        "active_hours": stated.get("active_hours", ""),
    }
    plan.evaluate(
        """(p, values) => {
          const form = p.querySelector("form");
          for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
          form.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        values,
    )
    plan.page.wait_for_function(
        "([p, before]) => Number(p.dataset.updated ?? 0) > before",
        arg=[plan.element_handle(), before],
    )


def test_without_scripts_every_number_is_still_there(browser: Any, built: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / "index.html").as_uri())
    page.locator("figure details summary").first.click()
    assert page.locator("figure details table").first.is_visible()
    assert "its numbers are in the table" in page.locator("figure").first.inner_text()
    context.close()
