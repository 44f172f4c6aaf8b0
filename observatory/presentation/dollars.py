"""How US dollars are written, on pages and in the terminal alike. The money page's script follows write_usd."""

from collections.abc import Sequence


def write_usd(value: float, digits: int = 3) -> str:
    """Return US dollars with their sign: none of the cents from $1,000 up, at least cents below.

    Below that at least `digits` significant digits, without an exponent: three for an amount, four for
    the price of a unit.
    """
    if value == 0:
        return "$0"
    if abs(value) >= 1000:
        return f"${value:,.0f}"
    if abs(value) < 1e-9:
        return "under $0.000000001"
    power = int(
        f"{value:.{digits - 1}e}".partition("e")[2]
    )  # as rounded: 0.9996 is 1.00, or 0.9996
    return f"${value:,.{max(2, digits - 1 - power)}f}"


def write_unit_price(value: float) -> str:
    """Return the price of a unit in US dollars, to four significant digits."""
    return write_usd(value, 4)


def write_usd_range(ends: Sequence[float]) -> str:
    """Return amounts in their order, such as "$0.0120 - $0.0340"; one where all are written alike."""
    texts = [write_usd(end) for end in ends]
    return texts[0] if len(set(texts)) == 1 else " - ".join(texts)
