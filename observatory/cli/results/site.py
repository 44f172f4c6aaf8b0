"""observatory site: build the pages from the database, or build and serve them on loopback."""

from pathlib import Path
from typing import Annotated

import typer

from observatory.cli.console import echo
from observatory.cli.options import ResultsOption
from observatory.core.workspace import open_workspace

app = typer.Typer(
    no_args_is_help=True,
    help="Build and serve the static site.\n\nExample: observatory site build",
)

OutOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder to build into (default: site/dist)."),
]
PublishedOption = Annotated[
    bool,
    typer.Option(
        "--published-only",
        help="Only runs that are published: made with --publish, or marked by `runs publish`.",
    ),
]
HostOption = Annotated[
    bool, typer.Option("--show-host", help="Let pages name this host and private endpoints.")
]


@app.command()
def build(
    out: OutOption = None,
    results: ResultsOption = None,
    published_only: PublishedOption = False,
    show_host: HostOption = False,
) -> None:
    """Build the site: static pages that open from disk and load nothing from any other host.

    Every run is shown, failed ones too: for your own reading. What others shall see is built with
    --published-only, as `run --publish` does.

    Example: observatory site build --out /srv/www/observatory --published-only
    """
    from observatory.site.build import build_site

    built = build_site(
        open_workspace(results), out, only_published=published_only, show_host=show_host
    )
    echo(f"{built / 'index.html'}")


@app.command()
def serve(
    out: OutOption = None,
    results: ResultsOption = None,
    published_only: PublishedOption = False,
    show_host: HostOption = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")
    ] = 8090,
) -> None:
    """Build the site, then serve it on loopback until Ctrl-C.

    Every run is shown, unless --published-only is given; the folder that was there is replaced.

    Example: observatory site serve --port 8090
    """
    from observatory.site.build import build_site
    from observatory.site.serve import serve_site

    built = build_site(
        open_workspace(results), out, only_published=published_only, show_host=show_host
    )
    serve_site(built, port, lambda address: echo(f"{address} (Ctrl-C ends it)"))
