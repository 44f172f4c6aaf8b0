"""What a view of the warehouse is: its columns as data, from which DDL and docs are made."""

from dataclasses import dataclass

from observatory.core.commented_lines import commented_lines


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """One column: its SQL over the view's source, and what it holds, unit included."""

    name: str
    sql: str
    comment: str


@dataclass(frozen=True, slots=True)
class View:
    """One view: its columns over a FROM clause (with what follows it), after any WITH clause."""

    name: str
    comment: str
    columns: tuple[ViewColumn, ...]
    source: str
    prelude: str = ""

    @property
    def sql(self) -> str:
        """CREATE OR REPLACE VIEW."""
        columns = ",\n  ".join(f"{column.sql} AS {column.name}" for column in self.columns)
        return f"CREATE OR REPLACE VIEW {self.name} AS\n{self.prelude}SELECT\n  {columns}\n{self.source}"


def view_columns(text: str) -> tuple[ViewColumn, ...]:
    """Return the columns of lines `sql AS name -- comment`; of a plain `alias.name` the name may be left out."""
    columns = []
    for sql, comment in commented_lines(text):
        value, _, name = sql.rpartition(" AS ")
        columns.append(ViewColumn(name if value else sql.partition(".")[2], value or sql, comment))
    return tuple(columns)
