"""The generated parts of docs/metrics.md: the metric table and the thresholds.

`python -m observatory.analysis.metrics_page docs/metrics.md` writes them between their markers; a
test holds the page against this.
"""

import sys
from pathlib import Path

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.metric import METRICS, Metric

_UNITS = {"1": "share", "B": "bytes"}


def metrics_table() -> str:
    """METRICS as a Markdown table, one row a metric."""
    lines = [
        "| metric | grain | unit | better | definition | needs |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_metric_row(metric) for metric in METRICS]
    return "\n".join(lines)


def thresholds_table() -> str:
    """THRESHOLDS as a Markdown table, one row a code."""
    lines = [
        "| code | degraded | invalid | of | evidence |",
        "|---|---|---|---|---|",
    ]
    for row in THRESHOLDS.values():
        found = f"as found: {row.as_found}" if row.as_found else "-"
        degraded = found if row.degraded is None else f"> {row.degraded:g}"
        invalid = "-" if row.invalid is None else f"> {row.invalid:g}"
        lines.append(f"| `{row.code}` | {degraded} | {invalid} | {row.unit} | {row.evidence} |")
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with both tables between their markers; ValueError where a marker is missing."""
    for name, table in (("metrics", metrics_table()), ("thresholds", thresholds_table())):
        opening, closing = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, found, rest = page.partition(opening)
        _, closed, after = rest.partition(closing)
        if not found or not closed:
            raise ValueError(f"the page lacks {opening} ... {closing}")
        page = f"{before}{opening}\n{table}\n{closing}{after}"
    return page


def _metric_row(metric: Metric) -> str:
    grain = metric.grain + (", distribution" if metric.quantiles else "")
    needs = ", ".join(f"`{name}`" for name in metric.needs) or "-"
    unit = _UNITS.get(metric.unit, metric.unit)
    definition = metric.definition.replace("|", "\\|")
    return f"| `{metric.name}` | {grain} | {unit} | {metric.better} | {definition} | {needs} |"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(filled(target.read_text(encoding="utf-8")), encoding="utf-8")
