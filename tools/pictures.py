"""Makes the README's pictures from the latest campaign in results/: `make pictures`.

terminal.png is what the campaign's end looked like, drawn from its sealed runs; overview.png is the
built site's first page in a real browser.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from observatory.cli.measure.comparison import print_tables
from observatory.core.workspace import open_workspace
from observatory.runner.finish import reread
from observatory.site.build import build_site
from observatory.store.folder.run_folder import resolve_runs

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    """Draw both pictures."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if browser is None:
        sys.exit("pictures: no chromium here — apt-get install chromium")
    workspace = open_workspace()
    runs = [reread(workspace.runs / run) for run in resolve_runs(workspace, "last")]
    with Path("/dev/null").open("w") as nowhere:
        console = Console(
            record=True, width=100, file=nowhere, highlight=False, force_terminal=True
        )
        print_tables(console, runs)
    svg = re.sub(
        r"@font-face\s*{[^}]*}", "", console.export_svg(title="observatory run quickstart")
    )
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        drawn = Path(folder, "terminal.html")
        drawn.write_text(f"<body style='margin:0'>{svg.replace('Fira Code', 'monospace')}</body>")
        site = build_site(workspace, Path(folder, "site"))
        chromium = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1280, "height": 1600})
        page.goto(drawn.as_uri())
        page.locator("svg").first.screenshot(path=DOCS / "terminal.png")
        page.goto((site / "index.html").as_uri())
        page.wait_for_selector("svg")
        page.wait_for_timeout(1000)
        page.screenshot(path=DOCS / "overview.png")
        chromium.close()
    print("docs/terminal.png and docs/overview.png are made")


if __name__ == "__main__":
    main()
