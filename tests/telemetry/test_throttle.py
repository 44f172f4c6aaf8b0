"""A throttle mask in words: every bit that the library names, and those that it does not."""

import pynvml
import pytest

from observatory.telemetry.sensors.throttle import REASONS, throttle_reasons


def _constants() -> dict[int, str]:
    prefixes = ("nvmlClocksEventReason", "nvmlClocksThrottleReason")
    named: dict[int, str] = {}
    for prefix in prefixes:
        for name, value in vars(pynvml).items():
            short = name.removeprefix(prefix)
            if name.startswith(prefix) and short not in ("None", "All", "UserDefinedClocks"):
                named.setdefault(value, short)
    return named


def test_the_names_are_the_librarys() -> None:
    assert _constants() == REASONS


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0, []),
        (1, ["GpuIdle"]),
        (4, ["SwPowerCap"]),
        (0x64, ["SwPowerCap", "SwThermalSlowdown", "HwThermalSlowdown"]),
        (0x8008, ["HwSlowdown", "bit 0x8000"]),
    ],
)
def test_known_masks(mask: int, names: list[str]) -> None:
    assert throttle_reasons(mask) == names
