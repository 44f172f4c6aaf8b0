"""How a figure below its sample floor is written: what it needs, what it has, how long to run."""


def needs_text(
    needs: int, n: int, effective: int | None = None, needs_s: float | None = None
) -> str:
    """ "needs 64 requests, has 9", or, where they depend on each other, how many independent ones.

    needs_s: about how long the window would have to be at this load.
    """
    if effective is None or effective >= n:
        return f"needs {needs:,} requests, has {n:,}"
    run = f"; run {duration_text(needs_s)} at this load" if needs_s else ""
    return f"needs {needs:,} independent requests, has about {effective:,}{run}"


def duration_text(seconds: float) -> str:
    """A rough length of time, rounded up: "about 12 minutes"."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"about {-int(-seconds // length):,} {unit}"
    return f"about {max(1, -int(-seconds // 1)):,} seconds"


def count_text(n: int, effective: int | None) -> str:
    """Return "1,000, effective 84": the number of requests, and of independent ones with as much evidence."""
    if effective is None or effective >= n:
        return f"{n:,}"
    return f"{n:,}, effective {effective:,}"
