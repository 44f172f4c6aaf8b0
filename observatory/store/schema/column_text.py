"""Lists of columns as SQL text: one column a line, with a comment on what it holds."""

from collections.abc import Iterator
from textwrap import dedent


def commented_columns(text: str) -> Iterator[tuple[str, str]]:
    """Yield the SQL and the comment of each column of lines `sql -- comment`.

    A line that is indented deeper than the first one continues the column before it.
    """
    for column in dedent(text).strip().replace("\n ", " ").splitlines():
        sql, comment = " ".join(column.split()).split(" -- ", 1)
        yield sql, comment
