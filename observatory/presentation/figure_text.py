"""A figure as the terminal's comparisons write it. It knows no metric, only its unit."""

from observatory.core.units import human_number, human_seconds


def figure_text(value: float, unit: str) -> str:
    """unit: s (scaled to ms and so on), % of a share, $, or one that is written behind; inf is a timeout."""
    if value == float("inf"):
        return "> timeout"
    if unit == "s":
        return human_seconds(value)
    if unit == "%":
        return f"{value * 100:.3g} %"
    if unit == "$":
        return f"${value:.3g}"
    return f"{human_number(value)} {unit}".strip()
