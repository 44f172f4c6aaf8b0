"""Tables that are written as text: one entry a line, with a comment on it."""

from collections.abc import Iterator
from textwrap import dedent


def commented_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the two parts of each line `entry -- comment`.

    A line that is indented deeper than the first one continues the entry before it.
    """
    for line in dedent(text).strip().replace("\n ", " ").splitlines():
        entry, comment = " ".join(line.split()).split(" -- ", 1)
        yield entry, comment
