"""docs/schema.md is current, and every query of docs/sql.md runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from observatory.core.workspace import Workspace
from observatory.store.ingest.warehouse import ingest
from observatory.store.queries.query import open_for_query, run_query
from observatory.store.schema.dictionary import data_dictionary, markdown
from observatory.store.schema.tables import STORAGE_VERSION, TABLES
from observatory.store.views.catalogue import VIEWS
from tests.store.made_runs import manifest, sealed_run, stage, stage_rows

DOCS = Path(__file__).resolve().parents[2] / "docs"
QUERIES = re.findall(r"```sql\n(.+?)```", (DOCS / "sql.md").read_text(encoding="utf-8"), re.DOTALL)
SHOWN = {
    f"{path.name}-{place}": query.replace('\\"', '"')
    for path in [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
    if path.name != "sql.md"
    for place, query in enumerate(
        [
            *re.findall(r"```sql\n(.+?)```", path.read_text(encoding="utf-8"), re.DOTALL),
            *re.findall(
                r'observatory sql [^"\n]*"((?:[^"\\]|\\.)+)"',
                path.read_text(encoding="utf-8"),
                re.DOTALL,
            ),
        ]
    )
}
"""Queries of every other page, as typed."""
EMPTY = {"error_phase", "self_target", "monthly_cost"}
"""Queries over what a clean run of few requests does not have, by a word of theirs."""


def test_the_data_dictionary_in_the_docs_is_current() -> None:
    made = markdown(data_dictionary())
    assert (DOCS / "schema.md").read_text(encoding="utf-8") == made, (
        "run: observatory schema --markdown > docs/schema.md"
    )


def test_the_dictionary_says_what_the_schema_says() -> None:
    entries = {entry.name: entry for entry in data_dictionary()}
    assert list(entries) == [view.name for view in VIEWS] + [table.name for table in TABLES]
    for table in TABLES:
        found = [(c.name, c.type, c.comment) for c in entries[table.name].columns]
        assert found == [(c.name, c.type, c.comment) for c in table.columns]
    for view in VIEWS:
        found = [(c.name, c.type, c.comment) for c in entries[view.name].columns]
        assert [(name, comment) for name, _, comment in found] == [
            (c.name, c.comment) for c in view.columns
        ]
        assert all(kind for _, kind, _ in found)


def test_the_docs_name_every_column_and_the_storage_version() -> None:
    text = (DOCS / "schema.md").read_text(encoding="utf-8")
    for entry in data_dictionary():
        assert all(f"`{column.name}`" in text for column in entry.columns), entry.name
    assert f"storage version is {STORAGE_VERSION}" in text


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_every_query_of_the_cookbook_runs(stocked: Workspace, query: str) -> None:
    rows = _answers(stocked, query)
    assert bool(rows) == (not any(name in query for name in EMPTY)), query


@pytest.mark.parametrize("page", sorted(SHOWN))
def test_every_query_of_the_other_pages_runs(stocked: Workspace, page: str) -> None:
    query = SHOWN[page]
    if "read_csv" in query:  # a file that a reader downloads
        query = query.replace("read_csv('azure_llm_2023_conv.csv')", TRACE)
    rows = _answers(stocked, query)
    assert rows or "limits-%" in query


TRACE = "(SELECT TIMESTAMP '2026-11-20' + to_seconds(7 * n) AS \"TIMESTAMP\" FROM range(100) r(n))"


def test_a_median_in_the_docs_is_of_the_steady_window() -> None:
    queries = [*QUERIES, *SHOWN.values()]
    medians = [q for q in queries if "FROM REQUEST_METRICS" in q.upper() and "ttft_s, .5" in q]
    assert len(medians) >= 2
    assert all("in_window" in query.lower() for query in medians)


def _answers(stocked: Workspace, query: str) -> list[tuple[Any, ...]]:
    from observatory.core.run import Verdict
    from observatory.core.sample import Sample

    reading = Sample(4_000_000_000, "host", "shared_host", "", "cpu_util_fraction", 0.5)
    made = manifest(
        stages=[stage(0), stage(1)],
        verdict=Verdict("valid", [], "Valid."),
        factors={"parallel": 4},
        block=0,
        cell=0,
    )
    ingest(stocked, sealed_run(stocked, made, samples=[reading]), stage_rows)
    with open_for_query(stocked) as connection:
        return list(run_query(connection, query).rows)
