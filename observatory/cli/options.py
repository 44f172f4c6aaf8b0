"""The options that many verbs share, so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

ResultsOption = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Folder of run folders and database (default: $OBSERVATORY_RESULTS, else ./results).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
