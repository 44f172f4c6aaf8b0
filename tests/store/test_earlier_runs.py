"""What a quote learns from the latest run of the same target and workload, and from no other."""

from typing import Any

import pytest

from observatory.core.record import Tokens
from observatory.core.run import Verdict
from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.ingest.warehouse import ingest
from observatory.store.queries.earlier_runs import FEWEST, earlier_run
from tests.store.made_runs import (
    S,
    answer,
    manifest,
    record,
    sealed_run,
    stage_rows,
)  # fmt: skip

WORKLOAD = {"kind": "tasks", "cache": "cold"}


def take_in(space: Workspace, run_id: str, created: str, n: int = FEWEST, **more: Any) -> None:
    fields = more.pop("fields", {"workload": WORKLOAD, "items_sha256": "abc"})
    made = manifest(run_id, created_utc=created, comparison_fields=fields, **more)
    records = [
        record(number, scheduled=12 * S + number, attempts=[answer(12 * S + number)])
        for number in range(n)
    ]
    folder = sealed_run(space, made, records)
    ingest(space, folder, stage_rows)


def figures_of(space: Workspace, **more: Any) -> Any:
    given: dict[str, Any] = {
        "target": "emulated-api", "kind": "emulated", "model": "stand-in",
        "workload": WORKLOAD, "items_sha256": "abc",
    }  # fmt: skip
    return earlier_run(space, **(given | more))


def test_without_a_database_there_is_no_history(workspace: Workspace) -> None:
    assert figures_of(workspace) is None


def test_the_latest_comparable_run_speaks(stocked: Workspace) -> None:
    take_in(stocked, "old", "2026-11-01T00:00:00Z")
    take_in(stocked, "new", "2026-11-02T00:00:00Z", n=FEWEST + 2)
    take_in(stocked, "few", "2026-11-03T00:00:00Z", n=FEWEST - 1)
    take_in(
        stocked, "other", "2026-11-04T00:00:00Z", fields={"workload": {}, "items_sha256": "abc"}
    )
    bad = Verdict("invalid", ["no_requests"], "invalid")
    take_in(stocked, "bad", "2026-11-05T00:00:00Z", verdict=bad)
    found = figures_of(stocked)
    assert (found.overall.run_id, found.overall.n) == ("new", FEWEST + 2)
    assert found.overall.duration_s.low <= found.overall.duration_s.expected
    with connect(stocked) as connection:
        row = connection.execute(
            "SELECT avg(e2e_s), avg(prompt_tokens), avg(output_tokens) FROM request_metrics "
            "WHERE run_id = 'new'"
        ).fetchone()
    assert row is not None
    assert found.overall.duration_s.expected == pytest.approx(row[0])
    assert found.overall.prompt_tokens.expected == row[1]
    assert found.overall.output_tokens.expected == row[2]
    assert [seen.run_id for seen in found.levels.values()] == ["new"]


@pytest.mark.parametrize(
    "differs",
    [{"target": "x"}, {"kind": "url"}, {"model": "x"}, {"items_sha256": "x"}, {"workload": {}}],
)
def test_another_target_or_workload_says_nothing(
    stocked: Workspace, differs: dict[str, Any]
) -> None:
    take_in(stocked, "run", "2026-11-01T00:00:00Z")
    assert figures_of(stocked) is not None and figures_of(stocked, model=None) is not None
    assert figures_of(stocked, **differs) is None


def test_usage_that_is_not_there_is_not_made_up(stocked: Workspace) -> None:
    made = manifest("run", comparison_fields={"workload": WORKLOAD, "items_sha256": "abc"})
    counted = Tokens(output=4, output_from="events", streamed=4, streamed_from="events")
    records = [
        record(n, scheduled=12 * S + n, attempts=[answer(12 * S + n, tokens=counted)])
        for n in range(FEWEST)
    ]
    ingest(stocked, sealed_run(stocked, made, records), stage_rows)
    found = figures_of(stocked)
    assert found.overall.prompt_tokens is None and found.overall.output_tokens is None
