"""The `observatory` command: runs a verb and turns errors into lines and exit codes."""

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from observatory.cli.console import echo, install_streams, lost_output
from observatory.cli.faults import check_address_space, environment_fault
from observatory.cli.verbs import VerbGroup
from observatory.core.errors import ExitCode, ObservatoryError
from observatory.core.system.processes import leave_no_core_dumps

app = typer.Typer(
    name="observatory",
    cls=VerbGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        echo(f"observatory {version('inference-observatory')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Measure self-hosted inference engines and closed APIs with one instrument."""


_MEASURING = ("run", "limits", "calibrate")
"""Verbs whose exit code reports the measurement, also where their output could not be printed."""


class Interruption:
    """The signal that stopped this command, from a person, cron or a closing terminal; None before that."""

    received: signal.Signals | None = None

    def listen(self) -> None:
        """Raise KeyboardInterrupt on each signal, so that everything is closed in order."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the command; an error of a known kind is one line on stderr, a bug is a trace and exit code 1."""
    install_streams()
    leave_no_core_dumps()
    interruption = Interruption()
    interruption.listen()
    try:
        code = _run(interruption)
    except KeyboardInterrupt:  # a second one, while the first was being reported
        code = ExitCode.INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # nothing is left that it could stop
    why = lost_output()
    if why is not None:
        echo(f"observatory: standard output: {why}; what was printed is incomplete", err=True)
        if code == ExitCode.FINE and sys.argv[1:2] not in [[verb] for verb in _MEASURING]:
            code = ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    sys.exit(code)


def _run(interruption: Interruption) -> int:
    """Run the verb, print any error that it raises, and return the exit code."""
    try:
        check_address_space(sys.argv[1] if len(sys.argv) > 1 else None)
        app()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code == ExitCode.INTERRUPTED and interruption.received is not None:
            return _stopped(interruption.received)
        return code
    except KeyboardInterrupt:
        return _stopped(interruption.received)
    except ObservatoryError as error:
        if interruption.received is not None:
            return _stopped(interruption.received)
        echo(f"observatory: {error}", err=True)
        return error.exit_code
    except BaseException as error:
        if interruption.received is not None:
            return _stopped(interruption.received)  # a library made its own error of the signal
        fault = environment_fault(error)
        if fault is None:
            raise
        echo(f"observatory: {fault}", err=True)
        return fault.exit_code
    return ExitCode.FINE


def _stopped(number: signal.Signals | None) -> ExitCode:
    how = "Ctrl-C" if number in (None, signal.SIGINT) else number.name
    echo(f"observatory: stopped ({how})", err=True)
    return ExitCode.INTERRUPTED


if __name__ == "__main__":
    main()
