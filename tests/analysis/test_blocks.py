"""A cell over its blocks: known answers, and the same answers as the view gives."""

import math

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observatory.analysis.comparison.blocks import (
    FIRST_CELL,
    FOREIGN,
    NO_PAIR,
    NOT_FINITE,
    ONE_BLOCK,
    STREAMS,
    apart,
    pooled,
)
from observatory.store.schema.migrations import migrate


def test_changes_are_paired_by_block() -> None:
    found = pooled({0: 0.15, 1: 0.24}, {0: 0.1, 1: 0.2})
    assert found.mean == pytest.approx(0.195)
    assert (found.least, found.most, found.blocks) == (0.15, 0.24, 2)
    assert found.change == pytest.approx(0.35)
    # A standard error of 15 points, and Student's 12.706 for one degree of freedom.
    assert found.change_low == pytest.approx(0.35 - 12.7062 * 0.15, rel=1e-4)
    assert not found.differs


def test_equal_changes_are_told_apart_and_opposite_ones_are_not() -> None:
    assert pooled({0: 2.0, 1: 4.0, 2: 6.1}, {0: 1.0, 1: 2.0, 2: 3.0}).differs
    assert not pooled({0: 2.0, 1: 1.0}, {0: 1.0, 1: 2.0}).differs


def test_why_there_is_no_change() -> None:
    assert pooled({0: 1.0}, None).note == FIRST_CELL
    assert pooled({}, {0: 1.0}).note == NO_PAIR
    assert pooled({1: 1.0}, {0: 1.0}).note == NO_PAIR
    assert pooled({0: math.inf}, {0: 1.0}).note == NOT_FINITE
    assert pooled({0: 1.0}, {0: 0.0}).note == NOT_FINITE
    alone = pooled({0: 2.0}, {0: 1.0})
    assert (alone.change, alone.change_low, alone.note) == (1.0, None, ONE_BLOCK)
    assert not alone.differs


def test_blocks_beside_unlike_other_work_make_no_pair() -> None:
    assert apart({0: 0.02, 1: 0.5, 2: 0.5, 3: 0.9}, {0: 0.11, 1: 0.02, 2: 0.45}) == {1}
    found = pooled({0: 0.15, 1: 0.24, 2: 0.3}, {0: 0.1, 1: 0.1, 2: 0.2}, frozenset({1}))
    assert (found.mean, found.blocks) == (pytest.approx(0.23), 3)
    assert found.change == pytest.approx(0.5)
    alone = pooled({0: 0.15}, {0: 0.1}, frozenset({0}))
    assert (alone.mean, alone.change, alone.note) == (0.15, None, FOREIGN)


@pytest.fixture(scope="module")
def warehouse() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    migrate(connection, ":memory:")
    return connection


def test_a_cell_that_was_not_streamed_makes_no_pair_with_one_that_was() -> None:
    """Its time to the whole answer is no change of the other's time to the first token."""
    values, first = {0: 0.2, 1: 0.3}, {0: 0.1, 1: 0.1}
    one = pooled(values, first, unlike_streams=frozenset({0}))
    assert (one.change, one.note) == (pytest.approx(2.0), ONE_BLOCK)
    none = pooled(values, first, unlike_streams=frozenset({0, 1}))
    assert (none.mean, none.change, none.note) == (pytest.approx(0.25), None, STREAMS)


shares = st.sampled_from([None, 0.0, 0.05, 0.3, 0.95])
figure = st.one_of(st.none(), st.floats(0.001, 100.0), st.just(math.inf), st.just(0.0))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(figure, figure, shares, shares, st.booleans()), min_size=1, max_size=6),
    st.sampled_from([None, True]),
)
def test_the_view_gives_the_same(
    warehouse: duckdb.DuckDBPyConnection,
    drawn: list[tuple[float | None, ...]],
    streamed: bool | None,
) -> None:
    """The last of each block: the second cell's answers came at once."""
    for table in ("runs", "stages", "stage_metrics"):
        warehouse.execute(f"DELETE FROM {table}")
    for block, pair in enumerate(drawn):
        for cell, value in enumerate(pair[:2]):
            name = f"r{cell}-{block}"
            warehouse.execute(
                "INSERT INTO runs (run_id, campaign_id, target, cell, block, status, verdict, "
                "sound, whole, emulated) VALUES (?, 'c', ?, ?, ?, 'complete', 'valid', true, true, false)",
                [name, f"t{cell}", cell, block],
            )
            warehouse.execute(
                "INSERT INTO stages (run_id, stage, kind, streamed) VALUES (?, 0, 'closed', ?)",
                [name, False if cell and pair[4] else streamed],
            )
            warehouse.execute(
                "INSERT INTO stage_metrics (run_id, stage, metric, statistic, value) "
                "VALUES (?, 0, 'ttft_s', 'p50', ?), (?, 0, 'foreign_cpu_fraction', 'value', ?)",
                [name, value, name, pair[2 + cell]],
            )
    columns = [
        {block: pair[cell] for block, pair in enumerate(drawn) if pair[cell] is not None}
        for cell in (0, 1)
    ]
    first: dict[int, float] = {block: v for block, v in columns[0].items() if v is not None}
    other: dict[int, float] = {block: v for block, v in columns[1].items() if v is not None}
    taken: list[dict[int, float]] = [
        {block: share for block, pair in enumerate(drawn) if (share := pair[2 + cell]) is not None}
        for cell in (0, 1)
    ]
    unlike = apart(taken[1], taken[0])
    at_once = frozenset(block for block, pair in enumerate(drawn) if pair[4])
    for cell, found in ((0, pooled(first, None)), (1, pooled(other, first, unlike, at_once))):
        row = warehouse.execute(
            "SELECT mean, least, most, blocks, change, change_low, change_high, note "
            "FROM matrix_figures WHERE cell = ? AND metric = 'ttft_s'",
            [cell],
        ).fetchone()
        assert row is not None
        assert row[3] == found.blocks
        assert row[7] == found.note
        for theirs, ours in zip(row[:3], (found.mean, found.least, found.most), strict=True):
            assert theirs == (None if ours is None else pytest.approx(ours))
        for theirs, ours in zip(
            row[4:7], (found.change, found.change_low, found.change_high), strict=True
        ):
            assert theirs == (None if ours is None else pytest.approx(ours, rel=1e-3, abs=1e-3))
