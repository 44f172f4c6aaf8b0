"""Which run a run is held against: the latest sealed one of the same target, model and address."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from observatory.core.clock import Anchor
from observatory.core.run import EarlierRun, Manifest, TargetFacts
from observatory.core.workspace import Workspace
from observatory.runner.earlier import earlier_run
from observatory.store.folder.manifest import write_manifest

TARGET = TargetFacts(
    name="bought",
    kind="api",
    hosting="managed",
    weights="closed",
    billing="tokens",
    model="m",
    endpoint="https://api.provider.example/v1",
    model_reported="m-2026-01",
    system_fingerprints=["fp-1"],
)


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path, results=tmp_path / "results")


def run_of(day: int, **target: Any) -> Manifest:
    return Manifest(
        format=1,
        run_id=f"202611{day:02d}T080000Z-s-bought-0000",
        campaign_id="c",
        scenario_name="s",
        scenario={},
        seed=1,
        target=msgspec.structs.replace(TARGET, **target),
        comparison_key="k",
        comparison_fields={},
        plan_sha256="0",
        anchor=Anchor(realtime_ns=0, monotonic_ns=0),
        created_utc=f"2026-11-{day:02d}T08:00:00Z",
        status="complete",
        stages=[],
        environment={},
        software={},
        sealed={"requests.parquet": "0"},
    )


def keep(space: Workspace, manifest: Manifest) -> None:
    folder = space.results / "runs" / manifest.run_id
    folder.mkdir(parents=True)
    write_manifest(folder, manifest)


def test_the_latest_before_it_is_taken(space: Workspace) -> None:
    for day, model in ((1, "m-a"), (3, "m-b"), (9, "m-later")):
        keep(space, run_of(day, model_reported=model))
    own = run_of(5)
    keep(space, own)
    assert earlier_run(space, own) == EarlierRun(
        run_of(3).run_id, "2026-11-03T08:00:00Z", "m-b", ["fp-1"]
    )


@pytest.mark.parametrize(
    "other",
    [
        {"name": "another"},
        {"model": "m-large"},
        {"kind": "url"},
        {"endpoint": "https://elsewhere.example/v1"},
        {"model_reported": None, "system_fingerprints": []},
    ],
)
def test_a_run_of_something_else_or_that_named_nothing_is_none(
    space: Workspace, other: dict[str, Any]
) -> None:
    keep(space, run_of(1, **other))
    assert earlier_run(space, run_of(5)) is None


def test_an_unsealed_or_unreadable_run_is_passed_over(space: Workspace) -> None:
    keep(space, msgspec.structs.replace(run_of(2), sealed={}))
    keep(space, run_of(1))
    broken = space.results / "runs" / "20261104T080000Z-s-bought-0000"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    found = earlier_run(space, run_of(5))
    assert found is not None and found.run_id == run_of(1).run_id


def test_a_target_that_is_started_here_has_another_port_each_time(space: Workspace) -> None:
    here = {"kind": "emulated", "emulated": True, "on_this_host": True}
    keep(space, run_of(1, endpoint="http://127.0.0.1:4001/v1", **here))
    assert earlier_run(space, run_of(5, endpoint="http://127.0.0.1:4002/v1", **here)) is not None


def test_the_first_run_of_all_has_nothing_before_it(space: Workspace) -> None:
    assert earlier_run(space, run_of(5)) is None
