"""The one error tree: every error names the party at fault, the place, and what to do now.

A failed request is a row with an outcome and never one of these.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a verb returns to the shell; stable, because cron jobs and CI read it."""

    FINE = 0
    OUR_BUG = 1
    BAD_INPUT = 2
    RUN_INVALID = 3
    TARGET_OR_ENVIRONMENT_FAILED = 4
    REGRESSION_FOUND = 5
    UNDECIDED = 6
    BUDGET_REACHED = 7
    INTERRUPTED = 130


class ObservatoryError(Exception):
    """An error that a person can act on; the CLI prints it as one line, without a trace."""

    exit_code = ExitCode.OUR_BUG
    fault = "observatory"

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        """Take what went wrong, where (file:line, path or URL without credentials), and the fix."""
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        fix = f" — {self.fix}" if self.fix else ""
        return f"{place}{self.what}{fix}"


class BadInput(ObservatoryError):
    """What a person typed or wrote in a file cannot be used."""

    exit_code = ExitCode.BAD_INPUT
    fault = "input"


class TargetFailed(ObservatoryError):
    """The target refused, answered something else, or died."""

    exit_code = ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    fault = "target"


class EnvironmentFailed(ObservatoryError):
    """This machine lacks something: a port, a file, a permission, space on its disk."""

    exit_code = ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    fault = "this machine"


class Interrupted(ObservatoryError):
    """The person stopped the run."""

    exit_code = ExitCode.INTERRUPTED
    fault = "you"
