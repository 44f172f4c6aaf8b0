"""A number with its noun, for every text that counts things."""


def count_of(n: int, noun: str, plural: str = "") -> str:
    """Return "1 request", "2,000 requests"; plural where it is more than the noun with an s.

    The noun may bring its verb: count_of(n, "run is", "runs are").
    """
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"
