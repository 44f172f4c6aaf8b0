"""observatory prices: the public ledger and the workspace's own prices, and what runs would cost at them."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from observatory.cli.change_notes import note_changes
from observatory.cli.console import echo
from observatory.cli.options import JsonOption, ResultsOption
from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.workspace import open_workspace

app = typer.Typer(
    no_args_is_help=True,
    help="Show, check and book prices of tokens; price runs again.\n\nExample: observatory prices check",
)


@app.command("list")
def list_prices(
    provider: Annotated[
        str | None, typer.Argument(help="A provider's models; without: the providers.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """List the public ledger's providers, or the standard prices of one provider's models today.

    US dollars per million tokens; blended is at three input tokens for each output token.

    Example: observatory prices list openai
    """
    from observatory.cli.money import price_views as views

    now = datetime.now(UTC)
    rows = views.provider_rows() if provider is None else views.model_rows_of(provider, now)
    views.print_rows(rows, json_output, foot=[views.ledger_line(now)])


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="PROVIDER/MODEL", help="As targets name it.")],
    json_output: JsonOption = False,
) -> None:
    """Show every price of a model: kinds, tiers, dates, hours and sizes of prompt, and blended.

    The workspace's own prices of it come first, as a run would take them.

    Example: observatory prices show openai/gpt-4.1-mini
    """
    from observatory.cli.money import price_views as views
    from observatory.inputs.price_files import agreed_prices

    now = datetime.now(UTC)
    provider, name = named(model)
    books = views.rows_of_model(provider, name, agreed_prices(open_workspace()))
    rows = [row for _, rows in books for row in rows]
    foot = [*views.blended_lines(books, now), views.ledger_line(now)]
    views.print_rows(
        rows if json_output else views.side_by_side(rows),
        json_output,
        columns=views.SHOWN,
        foot=foot,
    )


@app.command()
def check(json_output: JsonOption = False) -> None:
    """Show for every target billed by tokens which price it would get now, from where, and how old it is.

    Looks at scenarios/targets.yaml and at the targets and cells that scenarios hold themselves. Exit code 2 where a target has no price and does not state `price: unknown`.

    Example: observatory prices check
    """
    from observatory.cli.money import price_views as views

    now = datetime.now(UTC)
    rows, by_hours = views.checked_rows(open_workspace(), now)
    foot = views.checked_lines(rows)
    if by_hours:
        foot.append(f"billed by hours, not shown: {by_hours}")
    foot += [views.ledger_line(now), *views.stale_note(now)]
    views.print_rows(rows, json_output, columns=views.CHECKED, foot=foot)
    unpriced = sorted({row.target for row in rows if row.problem})
    if unpriced:
        raise BadInput(
            f"without a price: {', '.join(unpriced)}",
            fix="its note has what to write; docs/prices.md has the rules",
        )


@app.command()
def update(results: ResultsOption = None) -> None:
    """Take the installed ledger and the workspace's price file into the book (table price_book).

    A version that is there already is left as it is. A run's end does the same.

    Example: observatory prices update
    """
    from observatory.cli.money import price_views as views
    from observatory.store.database import connect
    from observatory.store.ingest.price_snapshots import update_price_book

    workspace = open_workspace(results)
    with connect(workspace, read_only=False) as connection:
        for book, version, count in update_price_book(workspace, connection):
            echo(f"taken in: {book} {version}, {count_of(count, 'price')}")
        held = connection.execute(
            "SELECT book, count(DISTINCT version), max(taken_at) FROM price_book GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    for book, versions, taken_at in held:
        counted = "1 version" if versions == 1 else f"{versions} versions"
        echo(f"the book has {book}: {counted}, the last taken in {taken_at} UTC")
    echo(views.ledger_line(datetime.now(UTC)))


AtOption = Annotated[
    str | None,
    typer.Option(metavar="PROVIDER/MODEL", help="At this model's price. Default: each run's own."),
]
BookOption = Annotated[
    str | None,
    typer.Option(
        help="genai-prices, prices.yaml, or run (as charged). Default: as runs are priced."
    ),
]


@app.command()
def reprice(
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Prices of this day. Default: today.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="Service tier, e.g. batch. Default: each run's own.")
    ] = None,
    no_caching: Annotated[
        bool, typer.Option("--no-caching", help="As if no token had come from a cache.")
    ] = False,
    at: AtOption = None,
    discount: Annotated[
        float, typer.Option(min=0, max=1, help="Share off every price, e.g. 0.12.")
    ] = 0.0,
    book: BookOption = None,
    version: Annotated[
        str | None, typer.Option(help="Only this version of it. Default: the current one.")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="Only this scenario's runs.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only runs from this day on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only runs before this day.")
    ] = None,
    json_output: JsonOption = False,
    results: ResultsOption = None,
) -> None:
    """What runs would cost at other prices: another day, tier, model or discount, or without caching.

    The tokens are those that each run really took. With --at, another model's tokenizer and answers
    would differ: that compares price lists, not models.

    Example: observatory prices reprice --since 2026-03-01 --until 2026-04-01 --tier batch --no-caching
    """
    from observatory.cli.money import price_views as views
    from observatory.store.queries.money_rows import RepricedRun
    from observatory.store.queries.query import open_for_query
    from observatory.store.queries.typed_rows import typed_rows

    provider, model = (None, None) if at is None else ledger_names(*named(at))
    parameters: dict[str, Any] = {
        "as_of": day_of(as_of, "--as-of"), "tier": tier, "caching": not no_caching, "in_book": book,
        "in_version": version, "at_provider": provider, "at_model": model, "discount": discount,
        "of_scenario": scenario, "since": day_of(since, "--since"), "until": day_of(until, "--until"),
    }  # fmt: skip
    query = views.repriced_sql(parameters)
    workspace = open_workspace(results)
    with open_for_query(workspace) as connection:
        rows = typed_rows(RepricedRun, connection.execute(query))
    note_changes(workspace, (row.run_id for row in rows))
    views.print_rows(rows, json_output, columns=views.REPRICED, foot=views.total_lines(rows))


def named(text: str) -> tuple[str, str]:
    """Return PROVIDER/MODEL in its two parts; the model may hold further slashes."""
    provider, slash, model = text.partition("/")
    if not slash or not provider or not model:
        raise BadInput(f"{text!r} is not PROVIDER/MODEL", fix="e.g. openai/gpt-4.1-mini")
    return provider, model


def ledger_names(provider: str, model: str) -> tuple[str, str]:
    """Return a model by the ledger's own names, or as given where only another book may have it."""
    from observatory.economics.ledger_book import find_listed

    listed = find_listed(provider, model)
    return (provider, model) if listed is None else (listed.owner, listed.model.id)


def day_of(text: str | None, option: str) -> str | None:
    """Return a date as ISO 8601 has it; BadInput names the option."""
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise BadInput(
            f"{text!r} is no date", where=option, fix="write it as 2026-03-01"
        ) from error
