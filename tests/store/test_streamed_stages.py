"""A stage stores whether it was really streamed, and is compared with its like alone."""

import pytest

from observatory.core.record import RequestRecord
from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.store.folder.manifest import read_manifest
from observatory.store.ingest.warehouse import ingest
from observatory.store.queries.query import open_for_query, run_query
from tests.store.made_runs import S, answer, facts, manifest, record, sealed_run, stage, stage_rows


def requests(*came: bool | None, stage: int = 0) -> list[RequestRecord]:
    """One whole answer for each, streamed or not."""
    return [
        record(index, stage, attempts=[answer(3 * S, streamed=streamed)])
        for index, streamed in enumerate(came)
    ]


def target(name: str, campaign: str = "campaign-1") -> Manifest:
    return manifest(f"run-{name}", target=facts(name), campaign_id=campaign)


@pytest.mark.parametrize(
    ("came", "stored"),
    [
        ((True, True, True), True),
        ((False, False, False), False),
        ((True, True, False), True),
        ((True, False), False),
        ((None, None), None),
        ((None, True), True),
    ],
)
def test_a_stage_stores_how_its_answers_came(
    workspace: Workspace, came: tuple[bool | None, ...], stored: bool | None
) -> None:
    folder = sealed_run(workspace, records=requests(*came))
    assert read_manifest(folder).stages[0].streamed is stored


def test_failed_answers_and_other_stages_do_not_count(workspace: Workspace) -> None:
    made = manifest(stages=[stage(0), stage(1)])
    failed = record(9, 0, attempts=[answer(3 * S, streamed=True, outcome="error")], outcome="error")
    records = [*requests(False), failed, *requests(True, stage=1)]
    sealed = read_manifest(sealed_run(workspace, made, records))
    assert [one.streamed for one in sealed.stages] == [False, True]


def compared(workspace: Workspace) -> list[tuple[object, ...]]:
    with open_for_query(workspace) as connection:
        found = run_query(
            connection,
            "SELECT target, streamed, not_streamed_targets FROM target_comparison ORDER BY target",
        )
        return [tuple(row) for row in found.rows]


def test_a_stage_that_was_not_streamed_is_kept_out_of_comparisons(stocked: Workspace) -> None:
    for name, streamed in (("a", True), ("b", False), ("c", None)):
        ingest(stocked, sealed_run(stocked, target(name), requests(streamed, streamed)), stage_rows)
    assert compared(stocked) == [("a", True, 1), ("c", None, 1)]


def test_stages_that_were_all_not_streamed_are_compared(stocked: Workspace) -> None:
    for name in ("a", "b"):
        ingest(stocked, sealed_run(stocked, target(name), requests(False)), stage_rows)
    assert compared(stocked) == [("a", False, 0), ("b", False, 0)]
