"""How busy a target's hardware was at each load, and what its engine reports next to what the client saw.

Chooses which figures are in which chart; a chart that no target could fill is not drawn.
"""

import json
from collections.abc import Sequence

from observatory.site.charts.drawing import Drawing
from observatory.site.charts.levels import level_chart, series_of
from observatory.site.charts.phases import Times, phases_chart
from observatory.site.members import MemberRun

SERVER = (
    ("Time to first token, mean: client", "ttft_s", "mean"),
    ("Time to first token, mean: server", "server_ttft_s", "value"),
    ("Queue: server", "server_queue_s", "value"),
    ("Prefill: server", "server_prefill_s", "value"),
    ("Decode: server", "server_decode_s", "value"),
    ("Tokens a second: client", "output_tps", "value"),
    ("Tokens a second: server", "server_output_tps", "value"),
    ("Open requests: client", "open_requests", "value"),
    ("Running: server", "engine_running", "value"),
    ("Waiting: server", "engine_waiting", "value"),
    ("KV cache: server", "kv_cache_fraction", "value"),
    ("Prefix cache hits: server", "prefix_cache_hit_fraction", "value"),
    ("Preemptions: server", "preemptions", "value"),
)
"""The server's word and the client's, side by side: title, metric, statistic."""
_OF_SERVER = tuple(metric for title, metric, _ in SERVER if title.endswith(": server"))
_BUSY = (
    (
        "gpu_util_fraction",
        "Share of time with any kernel running, however small (NVML); not how much of the GPU worked.",
    ),
    ("sm_active_fraction", "Share of the GPU's multiprocessors at work (DCGM)."),
    ("kv_cache_fraction", "Share of the engine's KV cache in use, as the engine reports."),
    ("engine_waiting", "Requests that wait in the engine, as the engine reports."),
)
_CPU = "Share of all cores of the host that target and client share; where no GPU was read."


def busy_drawings(anchor: str, members: Sequence[MemberRun]) -> list[Drawing]:
    """Return utilisation and KV-cache use against load: of the GPU, or of the CPU where there is none."""
    drawings = []
    with_gpu = [member for member in members if _has(member, "gpu_util_fraction")]
    for metric, about in _BUSY[:2]:
        if any(_has(member, metric) for member in members):
            drawings.append(_level(anchor, metric, about, members))
    on_cpu = [
        member
        for member in members
        if member not in with_gpu and on_this_host(member) and _has(member, "cpu_util_fraction")
    ]
    if on_cpu:
        drawings.append(_level(anchor, "cpu_util_fraction", _CPU, on_cpu))
    for metric, about in _BUSY[2:]:
        if any(_has(member, metric) for member in members):
            drawings.append(_level(anchor, metric, about, members))
    return drawings


def phase_drawings(anchor: str, members: Sequence[MemberRun]) -> list[Drawing]:
    """Return where the time of a request went, as each server reports it; empty where none does."""
    times = [
        Times(
            member.style,
            member.verdict,
            load,
            {
                phase: figures.get(f"server_{phase}_s").value
                for phase in ("queue", "prefill", "decode")
            },
            figures.get("e2e_s", "mean"),
        )
        for member in members
        for load, figures in member.stages
    ]
    reported = [one for one in times if one.reported]
    return [phases_chart(f"{anchor}-phases", reported)] if reported else []


def has_server_figures(members: Sequence[MemberRun]) -> bool:
    """Return whether any engine reported figures of its own."""
    return any(_has(member, metric) for member in members for metric in _OF_SERVER)


def on_this_host(member: MemberRun) -> bool:
    """Return whether the target ran on the machine that measured it, so that the host's readings are of it too."""
    return bool(json.loads(member.run.target_facts or "{}").get("on_this_host"))


def _has(member: MemberRun, metric: str) -> bool:
    return any(figure.drawable for _, figure in member.series(metric, "value"))


def _level(anchor: str, metric: str, about: str, members: Sequence[MemberRun]) -> Drawing:
    return level_chart(f"{anchor}-{metric}-value", about, series_of(members, metric))
