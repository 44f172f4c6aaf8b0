"""Writes the tables of docs/performance.md out of benchmarks/out/*.json; the words around them stay.

Pure but for the two ends: a table goes between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.catalogue import MEASURES
from benchmarks.results import OUT, Check, Measurement, load
from observatory.core.errors import BadInput

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
_WORDS = {True: "yes", False: "**no**", None: "not measured"}


def render(out: Path = OUT, page: Path = PAGE) -> None:
    """Rewrite the page. BadInput where nothing was measured, or the page lacks a marker."""
    found = [load(out / f"{name}.json") for name in MEASURES if (out / f"{name}.json").exists()]
    if not found:
        raise BadInput("nothing was measured yet", where=str(out), fix="python -m benchmarks all")
    page.write_text(fill(page.read_text(), found))


def fill(text: str, found: list[Measurement]) -> str:
    """Return the page's text with its tables replaced."""
    for name, block in BLOCKS.items():
        begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
        if begin not in text or end not in text:
            raise BadInput(f"the page has no {begin} ... {end}", where=str(PAGE))
        before, rest = text.split(begin, 1)
        text = f"{before}{begin}\n{block(found)}\n{end}{rest.split(end, 1)[1]}"
    return text


def _machines(found: list[Measurement]) -> str:
    lines = []
    for machine in _distinct([measurement.machine for measurement in found]):
        packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
        virtual = ", virtual" if machine["virtual"] else ""
        governor = machine["governor"] or "not readable"
        lines.append(
            f"{machine['cpu']}{virtual}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
            f"Linux {machine['kernel']}, clock {machine['clock_source']}, governor {governor}; "
            f"CPython {machine['python']}; {packages}; commit {machine['commit']}."
        )
    days = sorted({measurement.at[:10] for measurement in found})
    lines.append(f"Measured {' and '.join(days)}.")
    busy = [measurement.name for measurement in found if measurement.quiet.get("busy")]
    if busy:
        lines.append(
            f"**The machine was busy with other work before: {', '.join(busy)}. "
            "Those figures are not to be trusted.**"
        )
    quick = [measurement.name for measurement in found if measurement.quick]
    if quick:
        lines.append(f"**Short windows (`--quick`): {', '.join(quick)}.**")
    return "\n\n".join(lines)


def _distinct(machines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the load average, which differs from start to start."""
    kept: list[dict[str, Any]] = []
    for machine in machines:
        plain = {name: value for name, value in machine.items() if name != "load_average_before"}
        if plain not in kept:
            kept.append(plain)
    return kept


def _targets(found: list[Measurement]) -> str:
    rows = [
        [measurement.name, check.what, check.target, _measured(check), _reached(check)]
        for measurement in found
        if measurement.name != "late-client"
        for check in measurement.checks
    ]
    return table(["measure", "what", "to reach", "measured", "reached"], rows)


def _measured(check: Check) -> str:
    return "–" if check.reached is None else f"{check.measured:.3g} {check.unit}".strip()


def _reached(check: Check) -> str:
    note = f" ({check.note})" if check.note else ""
    return _WORDS[check.reached] + note


def _truth(found: list[Measurement]) -> str:
    head = [
        "streams",
        "requests",
        "TTFT error p50 / p99 / max, ms",
        "from arrival: p50 / p99 / max",
    ]
    head += ["gap error p50 / p99 / max, ms", "instant p50 / p99 / max, ms", "shared stamps"]
    head += ["worker CPU", "CPU-s for 1,000", "the run's verdict"]
    rows = []
    for measurement in found:
        values = measurement.values
        if not measurement.name.startswith("truth-"):
            continue
        spreads = [
            _spread(values[name]) for name in ("ttft", "ttft_from_arrival", "gap", "instant")
        ]
        rows.append(
            [
                measurement.name.removeprefix("truth-"),
                f"{values['requests']:,}",
                *spreads,
                _percent(values["shared_fraction"], 2),
                _percent(values["worker_cpu_share"], 0),
                _number(values["worker_cpu_s_per_1000"]),
                _level(values["verdict"]),
            ]
        )
    return table(head, rows)


def _open(found: list[Measurement]) -> str:
    head = ["arrivals", "rate", "processes", "rate off by", "schedule lag p50 / p99, ms"]
    head += ["server: late p99, ms", "gap CV (plan)", "lag-1 correlation (plan)"]
    head += ["dispersion of counts (plan)", "worker CPU"]
    rows = []
    for measurement in found:
        if not measurement.name.startswith("open-"):
            continue
        for row in measurement.rows:
            pairs = [
                f"{_number(row[name])} ({_number(row[f'planned_{name}'])})"
                for name in ("gap_cv", "lag_one", "dispersion")
            ]
            lag = f"{_number(row['sched_lag_p50_ms'])} / {_number(row['sched_lag_p99_ms'])}"
            rows.append(
                [
                    measurement.name.split("-")[1],
                    f"{row['rate_per_s']}/s",
                    str(row["processes"]),
                    f"{_number(row['rate_off_percent'])} %",
                    lag,
                    _number(row["arrival_late_p99_ms"]),
                    *pairs,
                    _percent(row["worker_cpu_share"], 0),
                ]
            )
    return table(head, rows)


def _peers(found: list[Measurement]) -> str:
    head = ["tool", "version", "requests/s", "CPU-s for 1,000, start included", "memory, MB"]
    rows = []
    for measurement in found:
        if measurement.name != "ceiling":
            continue
        values = measurement.values
        rows.append(
            [
                "observatory",
                measurement.machine["packages"]["inference-observatory"],
                f"{values['requests_per_s_by_server']:,.0f}",
                _number(values["tree_cpu_s"] / values["requests"] * 1e3),
                f"{values['worker_rss_max_mb']:,.0f} (worker)",
            ]
        )
        for row in measurement.rows:
            if row["reason"] is not None:
                rows.append([row["name"], row["reason"], "–", "–", "–"])
                continue
            cost = row["cpu_s"] / row["completed"] * 1e3 if row["completed"] else None
            rate, memory = row["requests_per_s_by_server"], row["rss_max_bytes"] / 1e6
            rows.append(
                [row["name"], row["version"], f"{rate:,.0f}", _number(cost), f"{memory:,.0f}"]
            )
    return table(head, rows)


def _peers_truth(found: list[Measurement]) -> str:
    head = ["streams", "tool", "TTFT p50 reported (true), ms", "TTFT p99 reported (true), ms"]
    rows = []
    for measurement in found:
        for row in measurement.rows if measurement.name == "peers-truth" else []:
            if row.get("reason") is not None:
                rows.append([str(row["streams"]), row["name"], row["reason"], "–"])
                continue
            pairs = [
                f"{_ms(row[f'reported_ttft_{share}_s'])} ({_ms(row[f'true_ttft_{share}_s'])})"
                for share in ("p50", "p99")
            ]
            rows.append([str(row["streams"]), row["name"], *pairs])
    return table(head, rows)


def _null(found: list[Measurement]) -> str:
    rows = [
        [check.what, check.target, _measured(check), _reached(check)]
        for measurement in found
        if measurement.name == "late-client"
        for check in measurement.checks
    ]
    return table(["what", "must be", "found", "found out"], rows)


def _telemetry(found: list[Measurement]) -> str:
    head = ["page", "bytes", "lines", "transport, ms", "parsing, ms", "reference reader, ms"]
    rows, stated = [], []
    for measurement in found:
        if measurement.name != "telemetry":
            continue
        values = measurement.values
        for row in measurement.rows:
            times = [_number(row[f"{name}_ms"]) for name in ("transport", "parse", "reference")]
            rows.append([row["engine"], f"{row['bytes']:,}", str(row["lines"]), *times])
        stated.append(
            f"Sampler's share of a core (sensors {values['sensors']}; GPUs: {values['gpus']}): "
            f"{_percent(values['sampler_cpu_share_at_1_s'], 2)} at 1 s, "
            f"{_percent(values['sampler_cpu_share_at_0.1_s'], 2)} at 0.1 s. 64 streams beside sensors "
            f"at 0.1 s over none: TTFT error p50 x {_number(values['ttft_error_ratio'])}, the client's "
            f"processor time x {_number(values['client_cpu_ratio'])}."
        )
    return "\n\n".join([table(head, rows), *stated])


BLOCKS: dict[str, Callable[[list[Measurement]], str]] = {
    "machine": _machines,
    "targets": _targets,
    "truth": _truth,
    "peers": _peers,
    "peers-truth": _peers_truth,
    "open": _open,
    "null": _null,
    "telemetry": _telemetry,
}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; a sentence where it would be empty."""
    if not rows:
        return "Not measured."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(values: dict[str, Any]) -> str:
    return " / ".join(_number(values[name]) for name in ("p50_ms", "p99_ms", "max_ms"))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:,.1f}"


def _percent(share: float | None, places: int) -> str:
    return "–" if share is None else f"{share:.{places}%}"


def _level(verdict: str) -> str:
    """The verdict's level and codes, out of its sentence."""
    codes = dict.fromkeys(re.findall(r"\(([a-z_]+)\)", verdict))
    return verdict.split(":")[0] + (f": {', '.join(codes)}" if codes else "")
