"""What a benchmark found: figures, and the numbers that were to be reached, as one JSON file each."""

import json
import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("out")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Check:
    """A number to reach: at least `low`, at most `high`. measured is None or NaN where it is not
    available; note has the reason, or the method."""

    what: str
    measured: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """None where nothing was measured."""
        if self.measured is None or math.isnan(self.measured):
            return None
        above = self.low is None or self.measured >= self.low
        return above and (self.high is None or self.measured <= self.high)

    @property
    def target(self) -> str:
        """The bounds in words."""
        low = "" if self.low is None else f"{self.low:g}"
        high = "" if self.high is None else f"{self.high:g}"
        words = (
            f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
        )
        return f"{words} {self.unit}".strip()


@dataclass(slots=True)
class Measurement:
    """One benchmark's outcome. values: names with units at their end. rows: a table, where it has one."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    quiet: dict[str, Any] = field(default_factory=dict)
    quick: bool = False
    machine: dict[str, Any] = field(default_factory=dict)
    at: str = ""


def save(measurement: Measurement, out: Path = OUT) -> Path:
    """Write it as NAME.json, replacing an earlier one."""
    measurement.at = datetime.now(UTC).isoformat(timespec="seconds")
    content = {
        "format": FORMAT,
        **asdict(measurement),
        "checks": [{**asdict(check), "reached": check.reached} for check in measurement.checks],
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{measurement.name}.json"
    path.write_text(json.dumps(_without_nan(content), indent=1) + "\n")
    return path


def load(path: Path) -> Measurement:
    """Read one back."""
    content = json.loads(path.read_text())
    if content.pop("format") != FORMAT:
        raise ValueError(f"{path}: another format; measure again")
    checks = [
        Check(**{name: value for name, value in check.items() if name != "reached"})
        for check in content.pop("checks")
    ]
    return Measurement(**content, checks=checks)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: what is missing is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
