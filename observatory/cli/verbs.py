"""The table of verbs, and the group of commands that imports a verb's module when the verb is typed.

A module of `cli` imports at its top what costs a few milliseconds. What loads Polars, DuckDB or the
scenario's models (0.1 to 1.5 s of CPU) is imported in the function that needs it: a group's light verbs
and every `--help` would wait for it otherwise.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, cast

import typer
import typer.core


class Verb(NamedTuple):
    """Where a verb is: a module with a function of its name, or a Typer `app` of inner verbs; its help."""

    module: str
    help: str


_VERBS = {
    "init": (
        "setup",
        "Lay out a workspace: scenarios, locustfiles and site sources to change as you like.",
    ),
    "doctor": ("setup", "List what is installed and what is missing, with the fix for each."),
    "calibrate": (
        "measure",
        "Measure this machine's own ceiling: streams held truly, events/s, requests/s, rate.",
    ),
    "run": ("measure", "Load a scenario's targets, record everything, and judge the numbers."),
    "limits": ("measure", "Find the requests and tokens a minute that are let in."),
    "sql": ("results", "Query the database in SQL (DuckDB's dialect; docs/sql.md has examples)."),
    "schema": (
        "results",
        "Describe every table, view and column, with its unit, and what macros answer.",
    ),
    "export": (
        "results",
        "Write a run's rows of every table and view, or one table or view of all runs, as files.",
    ),
    "cost": (
        "money",
        "Show what runs cost: every component, the machine's time kept and in use, and a month.",
    ),
    "breakeven": (
        "money",
        "Find the volume from which serving it yourself costs no more than buying it, for one workload.",
    ),
    "rebuild": (
        "results",
        "Make the database again from the run folders; readers may keep the old one open.",
    ),
    "emulate": (
        "setup",
        "Serve an emulated model: seeded latencies and faults, filler text, the real wire.",
    ),
    "probe": (
        "setup",
        "Serve this host's sensors (GPUs, processors, memory) to a run on another host.",
    ),
    "scenario": ("setup", "List, show, check and plan scenarios."),
    "runs": ("results", "List, show, label and delete runs."),
    "site": ("results", "Build and serve the static site."),
    "target": ("setup", "List and check what can be measured."),
    "engine": ("setup", "Install, list and remove engines."),
    "prices": ("money", "Show, check and book prices of tokens; price runs again."),
    "model": ("setup", "Fetch, make and list the built-in models."),
}
"""Verb -> the folder of its module, and the first line of its help."""

VERBS = {
    name: Verb(f"observatory.cli.{folder}.{name}", help) for name, (folder, help) in _VERBS.items()
}


@cache
def load_verb(name: str) -> Any:
    """Import the verb's module and return its command; KeyError where there is no such verb."""
    module = import_module(VERBS[name].module)
    found = getattr(module, "app", None) or getattr(module, name)
    holder = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return typer.main.get_group(holder).commands[name]


class _Verbs(Mapping[str, Any]):
    """The commands by name, each loaded when it is read."""

    def __getitem__(self, name: str) -> Any:
        return load_verb(name)

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class VerbGroup(typer.core.TyperGroup):
    """The group of all verbs: it lists them without loading them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, _Verbs())

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs, in the order of the table."""
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each verb with its help in the table, shortened to the line."""
        limit = formatter.width - 6 - max(map(len, VERBS))
        with formatter.section("Commands"):
            formatter.write_dl(
                (name, typer.core.TyperCommand(name, help=verb.help).get_short_help_str(limit))
                for name, verb in VERBS.items()
            )
