"""How a figure below its sample floor is written: what it needs, what it has, how long to run."""

from observatory.core.counted_nouns import count_of


def needs_text(
    needs: int, n: int, effective: int | None = None, needs_s: float | None = None
) -> str:
    """ "needs 64 requests, has 9", or, where they depend on each other, how many independent ones.

    needs_s: about how long the window would have to be at this load.
    """
    if effective is None or effective >= n:
        return f"needs {count_of(needs, 'request')}, has {n:,}"
    run = f"; run {duration_text(needs_s)} at this load" if needs_s else ""
    return f"needs {count_of(needs, 'independent request')}, has about {effective:,}{run}"


def duration_text(seconds: float) -> str:
    """Return a rough length of time, rounded up: "about 12 minutes"."""
    for unit, length in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * length:
            return f"about {count_of(-int(-seconds // length), unit)}"
    return f"about {count_of(max(1, -int(-seconds // 1)), 'second')}"


def count_text(n: int, effective: int | None) -> str:
    """Return "1,000, effective 84": the number of requests, and of independent ones with as much evidence."""
    if effective is None or effective >= n:
        return f"{n:,}"
    return f"{n:,}, effective {effective:,}"
