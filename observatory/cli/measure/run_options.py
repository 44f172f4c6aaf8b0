"""The options of `observatory run`, as its help describes them."""

from typing import Annotated

import typer

ScenarioArgument = Annotated[
    str, typer.Argument(help="A scenario's name, or the path of its file.")
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option("--target", "-t", help="Run on this target (repeatable) instead of its own."),
]
UrlOption = Annotated[
    list[str] | None,
    typer.Option(help="Run on this OpenAI-compatible URL; needs no file. One a run."),
]
NameOption = Annotated[
    str | None,
    typer.Option(help="What --url is called; default: after its model, never its host."),
]
ModelOption = Annotated[str | None, typer.Option(help="The model to request at --url.")]
ApiKeyEnvOption = Annotated[str | None, typer.Option(help="Variable that holds the key for --url.")]
BillingOption = Annotated[
    str, typer.Option(help="How --url is billed: hours (you serve it) or tokens.")
]
SeedOption = Annotated[int | None, typer.Option(help="Another seed than the scenario's.")]
ProcessesOption = Annotated[int | None, typer.Option(help="Load-generating processes.")]
BudgetUsdOption = Annotated[
    float | None, typer.Option(help="Never spend more than this on a run, in US dollars.")
]
BudgetRequestsOption = Annotated[
    int | None, typer.Option(help="Never send more requests than this in a run.")
]
BudgetOutputTokensOption = Annotated[
    int | None, typer.Option(help="Never take more output tokens than this in a run.")
]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Go on without a question, at any quote.")
]
AskAboveOption = Annotated[
    float,
    typer.Option(
        min=0.0,
        metavar="USD",
        envvar="OBSERVATORY_ASK_ABOVE_USD",
        help="Require a yes before a run that may cost more than this; without a terminal it ends there.",
    ),
]
LabelOption = Annotated[str | None, typer.Option(help="A name to find these runs by.")]
PublishOption = Annotated[
    bool,
    typer.Option(help="Mark these runs as published, and build the site of the published runs."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Plan and check; send nothing.")]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Start although this machine is estimated to be too small."),
]
ResumeOption = Annotated[
    str | None,
    typer.Option(
        metavar="CAMPAIGN",
        help="Go on with an unfinished matrix: its campaign's id, or `last`.",
    ),
]
