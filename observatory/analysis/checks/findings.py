"""How a check reports a finding: a value held against its code's threshold, or a bare fact."""

from collections.abc import Iterator

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.run import Finding, Severity


def over_limit(
    code: str, value: float, message: str, stage: int | None, below: Severity | None = None
) -> Iterator[Finding]:
    """Yield a finding where a value exceeds a limit of its code; below it one of severity `below`, if any."""
    threshold = THRESHOLDS[code]
    severity = threshold.severity(value) or below
    if severity is not None:
        yield Finding(code, severity, message, stage, value, threshold.limit(severity))


def as_found(
    code: str,
    message: str,
    stage: int | None = None,
    value: float | None = None,
    threshold: float | None = None,
) -> Finding:
    """Return a finding of a code without a limit: as grave as its row, wherever it is found."""
    severity = THRESHOLDS[code].as_found
    assert severity is not None
    return Finding(code, severity, message, stage, value, threshold)
