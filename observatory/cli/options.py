"""The options that many verbs share, so that they read the same everywhere."""

import math
from pathlib import Path
from typing import Annotated

import typer

from observatory.core.errors import BadInput

ResultsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of run folders and database (default: $OBSERVATORY_RESULTS, else ./results).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def check_size(option: str, value: object) -> None:
    """Raise BadInput where a number that was typed fits into no column and no plan."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise BadInput("a whole number has more than 64 bits", where=option)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput("is not a finite number", where=option)
