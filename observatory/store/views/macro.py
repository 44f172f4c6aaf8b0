"""What a SQL macro of the warehouse is: its parameters as data, from which DDL and docs are made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: what it means, unit included, and its default as SQL (None: it must be given)."""

    name: str
    comment: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro: `body` is an expression, or (table) a SELECT; both over the parameters by name."""

    name: str
    comment: str
    parameters: tuple[Parameter, ...]
    body: str
    table: bool = False

    @property
    def sql(self) -> str:
        """CREATE OR REPLACE MACRO."""
        kind = "TABLE " if self.table else ""
        return f"CREATE OR REPLACE MACRO {self.signature} AS {kind}{self.body}"

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "table macro" if self.table else "macro"

    @property
    def signature(self) -> str:
        """name(a, b := 1), as it is called."""
        given = (
            p.name if p.default is None else f"{p.name} := {p.default}" for p in self.parameters
        )
        return f"{self.name}({', '.join(given)})"

    @property
    def full_comment(self) -> str:
        """What it does and what each parameter means, as the database keeps it."""
        meanings = "; ".join(f"{p.name}: {p.comment}" for p in self.parameters)
        return f"{self.comment} {meanings}." if meanings else self.comment
