"""Rows of a query as dataclasses: a field a column, and no other."""

from dataclasses import dataclass

import duckdb
import pytest

from observatory.store.queries.money_rows import ComponentRow, MoneyFigureRow, MoneyRow
from observatory.store.queries.typed_rows import columns_of, typed_rows
from observatory.store.schema.migrations import migrate


@dataclass(frozen=True)
class Pair:
    name: str
    value: float | None


def test_a_query_gives_one_object_a_row() -> None:
    query = f"SELECT {columns_of(Pair, 't')} FROM (VALUES (2.5, 'a'), (NULL, 'b')) t(value, name)"
    assert typed_rows(Pair, duckdb.connect().execute(query)) == [Pair("a", 2.5), Pair("b", None)]


@pytest.mark.parametrize(
    "query", ["SELECT 'a' AS name", "SELECT 'a' AS name, 1.0 AS value, 2 AS more"]
)
def test_columns_that_are_not_the_fields_are_an_error(query: str) -> None:
    with pytest.raises(TypeError, match=r"value|more"):
        typed_rows(Pair, duckdb.connect().execute(query))


@pytest.mark.parametrize(
    ("row_type", "source"),
    [
        (MoneyRow, "money_per_run"),
        (ComponentRow, "cost_components"),
        (MoneyFigureRow, "stage_metrics JOIN stages USING (run_id, stage)"),
    ],
)
def test_every_row_type_has_columns_of_its_source(row_type: type, source: str) -> None:
    connection = duckdb.connect()
    migrate(connection, "x")
    assert (
        typed_rows(row_type, connection.execute(f"SELECT {columns_of(row_type)} FROM {source}"))
        == []
    )
