"""A calibration that was never measured, for tests of what is made of one."""

from typing import Any

from observatory.runner.checks.stored_calibration import (
    CALIBRATION_FORMAT,
    Bound,
    CalibratedHost,
    Calibration,
    Costs,
    LevelFigures,
    LoadCeiling,
)

HERE = CalibratedHost("0123456789abcdef", "a processor", 8, "6.1", "3.11.7", "0.1.0")


def figures(**more: Any) -> LevelFigures:
    return LevelFigures(
        **{
            "requests_per_s": 800.0, "events_per_s": 50_000.0, "client_busy": 0.75,
            "server_busy": 0.5, "server_late": 0.0, "others_busy": 0.0, "shared_stamps": 0.001,
            "lag_p99_s": 0.0003, "cpu_s_per_1000_requests": 0.9, "cpu_s_per_1000_events": 0.014,
            "worker_rss_bytes": 90_000_000, **more,
        }
    )  # fmt: skip


def a_calibration(
    *, machine: str = "0123456789abcdef", bound: Bound = "exact", **more: Any
) -> Calibration:
    """streams 700, burst 4,000, rate 2,000, all of that bound."""
    why = "client_cpu: load worker 0 was busy 85% of the time"
    facts: dict[str, Any] = {
        "format": CALIBRATION_FORMAT,
        "made_utc": "2026-11-20T10:00:00Z",
        "host": CalibratedHost(machine, "a processor", 8, "6.1", "3.11.7", "0.1.0"),
        "quick": False,
        "processes": 1,
        "servers": 1,
        "apart": True,
        "gap_s": 0.01,
        "streams": LoadCeiling(700, bound, why, 768, figures()),
        "burst": LoadCeiling(4_000, bound, why, None, figures()),
        "rate": LoadCeiling(2_000, bound, why, 2_250, figures()),
        "costs": Costs(0.0002, 0.00001),
    }
    return Calibration(**{**facts, **more})
