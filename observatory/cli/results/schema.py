"""`observatory schema`: the data dictionary of the warehouse, its macros included."""

from typing import TYPE_CHECKING, Annotated

import typer

from observatory.cli.answers import show_table
from observatory.cli.console import echo, print_json
from observatory.cli.options import JsonOption
from observatory.core.errors import BadInput

if TYPE_CHECKING:
    from observatory.store.views.macro import Macro

_UNCUT = 10_000
"""Comments are never cut."""


def schema(
    name: Annotated[
        str | None,
        typer.Argument(help="A table, view or macro; default: all, by name."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/schema.md: everything, as Markdown.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Describe every table, view and column, with its unit, and what macros answer.

    Example: observatory schema request_metrics
    """
    from observatory.store.schema.dictionary import data_dictionary
    from observatory.store.schema.dictionary import markdown as as_markdown
    from observatory.store.views.macro_catalogue import MACROS

    entries = data_dictionary()
    macros = {macro.name: macro for macro in MACROS}
    if name in macros:
        _print_macro(macros[name], json_output)
        return
    if name is not None:
        known = [*(entry.name for entry in entries), *macros]
        entries = [entry for entry in entries if entry.name == name]
        if not entries:
            fix = f"one of {', '.join(known)}"
            raise BadInput(f"no table, view or macro is called {name!r}", fix=fix)
    if markdown:
        echo(as_markdown(entries), end="")
        return
    if json_output:
        print_json(entries)
        return

    if name is None:
        show_table(
            ["name", "kind", "columns", "what it holds"],
            [
                *((entry.name, entry.kind, len(entry.columns), entry.comment) for entry in entries),
                *((macro.name, macro.kind, None, macro.comment) for macro in MACROS),
            ],
            longest=_UNCUT,
        )
        echo("observatory schema NAME lists the columns, or the parameters, of one.")
        return
    for entry in entries:
        echo(f"{entry.kind} {entry.name}: {entry.comment}")
        rows = [(column.name, column.type, column.comment) for column in entry.columns]
        show_table(["column", "type", "what it holds"], rows, longest=_UNCUT)


def _print_macro(macro: "Macro", json_output: bool) -> None:
    """Print how it is called, and what each parameter means."""
    if json_output:
        print_json(macro)
        return
    echo(f"{macro.kind} {macro.signature}: {macro.comment}")
    rows = [
        (one.name, "must be given" if one.default is None else one.default, one.comment)
        for one in macro.parameters
    ]
    show_table(["parameter", "default", "what it means"], rows, longest=_UNCUT)
