"""A metric of a request or of a stage is one entry of METRICS: views, stage figures, docs and pages have it."""

import subprocess
import sys

import pytest

from tests.live.harness import Workspace
from tests.live.product import add_line, copy_product

pytestmark = pytest.mark.live

ENTRY = """Metric(
        "response_bytes",
        "Size of a response",
        "B",
        "lower",
        "bytes received of the final attempt",
        grain="request",
        sql="a.bytes_received",
        needs=("bytes_received",),
    ),
    Metric(
        "response_bytes_per_s",
        "Bytes of responses a second",
        "B/s",
        "higher",
        "bytes received of the window's successes / window",
        stage_sql="sum(CASE WHEN r.outcome = 'ok' THEN a.bytes_received ELSE 0 END) / max(r.window_s)",
    ),"""

MARKERS = """<!-- begin metrics -->
<!-- end metrics -->
<!-- begin thresholds -->
<!-- end thresholds -->
"""


def test_a_new_metric_needs_no_other_place(bare: Workspace) -> None:
    product = copy_product(bare)
    add_line(product / "core" / "metric.py", "METRICS: tuple[Metric, ...] = (", f"    {ENTRY}")
    bare.measure(bare.emulated())

    requests = bare.sql("""select r.response_bytes, a.bytes_received from request_metrics r
        join attempts a on a.run_id = r.run_id and a.stage = r.stage and a.request = r.request
        where a.final and r.outcome = 'ok' and r.clock_step is not true""")
    assert requests
    assert all(row["response_bytes"] == row["bytes_received"] > 0 for row in requests)

    figures = bare.sql("select statistic, value from stage_metrics where metric = 'response_bytes'")
    by_statistic = {row["statistic"]: row["value"] for row in figures}
    assert by_statistic["mean"] > 0
    (wide,) = bare.sql("select response_mean_bytes, response_p50_bytes from stage_summary")
    assert wide["response_mean_bytes"] == by_statistic["mean"]
    assert wide["response_p50_bytes"] == by_statistic["p50"]

    (stored,) = bare.sql("""select value, n, basis, reason from stage_metrics
        where metric = 'response_bytes_per_s' and statistic = 'value'""")
    (whole,) = bare.sql("select response_bytes_per_s, window_s from stage_summary")
    (of,) = bare.sql("""select count(*) as requests,
            sum(a.bytes_received) filter (where r.outcome = 'ok') as bytes
        from request_metrics r
        join attempts a on a.run_id = r.run_id and a.stage = r.stage and a.request = r.request
        where a.final and r.counted""")
    assert (stored["n"], stored["basis"], stored["reason"]) == (of["requests"], "emulated", None)
    assert stored["value"] == whole["response_bytes_per_s"] > 0
    assert stored["value"] == pytest.approx(of["bytes"] / whole["window_s"])

    page = bare.root / "metrics.md"
    page.write_text(MARKERS)
    command = [sys.executable, "-m", "tools.metrics_page", str(page)]
    subprocess.run(command, env=bare.environment, check=True)
    assert "| `response_bytes` | request, distribution | bytes | lower | bytes received" in (
        page.read_text()
    )

    assert "| `response_bytes_per_s` | stage | B/s | higher | bytes received" in page.read_text()

    bare.run("site", "build")
    built = bare.root / "site" / "dist"
    (run,) = (built / "runs").glob("*.html")
    for path in (run, built / "methodology.html"):
        assert "Size of a response" in path.read_text(), path.name
        assert "Bytes of responses a second" in path.read_text(), path.name
    assert "response_p50_bytes" in (built / "schema.html").read_text()
