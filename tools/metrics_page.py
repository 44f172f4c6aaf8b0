"""The generated parts of docs/metrics.md: the metric table and the thresholds.

`python -m tools.metrics_page docs/metrics.md` writes them between their markers; a
test holds the page against this.
"""

import sys

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.metric import METRICS, Metric
from tools.doc_tables import rewrite

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


def page_tables() -> dict[str, str]:
    """Return the page's tables by the names of their markers."""
    return {"metrics": metrics_table(), "thresholds": thresholds_table()}


def _metric_row(metric: Metric) -> str:
    grain = metric.grain + (", distribution" if metric.quantiles else "")
    needs = ", ".join(f"`{name}`" for name in metric.needs) or "-"
    unit = _UNITS.get(metric.unit, metric.unit)
    definition = metric.definition.replace("|", "\\|")
    return f"| `{metric.name}` | {grain} | {unit} | {metric.better} | {definition} | {needs} |"


if __name__ == "__main__":
    rewrite(sys.argv[1], page_tables())
