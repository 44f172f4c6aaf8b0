"""The `observatory` command: puts the verbs together and turns errors into lines and exit codes."""

import sys
from typing import NoReturn

import typer

from observatory.cli import (
    breakeven,
    calibrate,
    cost,
    doctor,
    emulate,
    engine,
    export,
    init,
    limits,
    model,
    prices,
    probe,
    rebuild,
    run,
    runs,
    scenario,
    schema,
    site,
    sql,
    target,
)
from observatory.core.errors import ExitCode, ObservatoryError

app = typer.Typer(
    name="observatory",
    help="Measure self-hosted inference engines and closed APIs with one instrument.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(init.init)
app.command()(doctor.doctor)
app.command()(calibrate.calibrate)
app.add_typer(scenario.app, name="scenario")
app.command()(run.run)
app.command()(limits.limits)
app.add_typer(runs.app, name="runs")
app.command()(sql.sql)
app.command()(schema.schema)
app.command()(export.export)
app.command()(cost.cost)
app.command()(breakeven.breakeven)
app.add_typer(site.app, name="site")
app.command()(rebuild.rebuild)
app.add_typer(target.app, name="target")
app.command()(emulate.emulate)
app.add_typer(engine.app, name="engine")
app.add_typer(prices.app, name="prices")
app.command()(probe.probe)
app.add_typer(model.app, name="model")


def main() -> NoReturn:
    """Run the command; ours is one line on stderr, a bug is a trace and exit code 1."""
    try:
        app()
    except ObservatoryError as error:
        print(f"observatory: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(ExitCode.FINE)


if __name__ == "__main__":
    main()
