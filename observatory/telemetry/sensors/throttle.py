"""Why a GPU does not run at its full clocks: NVML's mask in words.

Pure, and without the driver's library, so that any reader of a stored mask can name it.
"""

REASONS: dict[int, str] = {
    0x001: "GpuIdle",
    0x002: "ApplicationsClocksSetting",
    0x004: "SwPowerCap",
    0x008: "HwSlowdown",
    0x010: "SyncBoost",
    0x020: "SwThermalSlowdown",
    0x040: "HwThermalSlowdown",
    0x080: "HwPowerBrakeSlowdown",
    0x100: "DisplayClockSetting",
    0x200: "BoardLimit",
    0x400: "Reliability",
}
"""Bit -> its name in nvml.h, behind nvmlClocksEventReason (older: nvmlClocksThrottleReason)."""


def throttle_reasons(mask: int) -> list[str]:
    """Return the names of all bits that are set, lowest first; a bit that nvml.h does not name by number.

    An empty list means full clocks. GpuIdle is no slowing down: there was nothing to do.
    """
    bits = [1 << place for place in range(mask.bit_length()) if mask >> place & 1]
    return [REASONS.get(bit, f"bit {bit:#x}") for bit in bits]
