"""`observatory limits` against real emulators: the ceiling that was set is the ceiling that is found.

Buckets show themselves in half a minute, a minute's window in two and a quarter: they are looked for
side by side.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.live.harness import PATIENCE_S, Workspace, open_workspace, records_written, wait_until

pytestmark = pytest.mark.live

TARGETS = """
targets:
  - kind: emulated
    name: emulated-limited
    profile: {{ttft_median: 20ms, ttft_p95: 30ms, limits: {limits}}}
    price:
      input_per_million_usd: 1
      output_per_million_usd: 2
      source: round example
      basis: example
"""
UNTIL_FOUND = ("--max-minutes", "6")
"""A busy machine takes long to start each run of a probe."""
PROBES: dict[str, tuple[str, tuple[str, ...], float, str]] = {
    "requests": (
        "{requests_per_minute: 1200, burst: 5s}",
        ("--only", "rpm", *UNTIL_FOUND),
        1200,
        "refill",
    ),
    "tokens": (
        "{tokens_per_minute: 600000, burst: 5s}",
        ("--only", "tpm", "--up-to-tpm", "2000000", *UNTIL_FOUND),
        600_000,
        "refill",
    ),
    "window": (
        "{requests_per_minute: 300, window: minute}",
        ("--only", "rpm", "--max-minutes", "8"),
        300,
        "window",
    ),
}


@pytest.fixture(scope="module")
def spaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Workspace]]:
    """Yield a workspace for each probe, its target limited by PROBES."""
    with ExitStack() as stack:
        made = {}
        for name, (limits, _, _, _) in PROBES.items():
            root = tmp_path_factory.mktemp(name)
            write_target(root, limits)
            made[name] = stack.enter_context(open_workspace(root))
        yield made


@pytest.fixture(scope="module")
def found(spaces: dict[str, Workspace]) -> dict[str, dict[str, Any]]:
    """What each probe answered."""
    children = {
        name: spaces[name].start("limits", "emulated-limited", *arguments, "--json")
        for name, (_, arguments, _, _) in PROBES.items()
    }
    answers = {}
    for name, child in children.items():
        out, err = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 0, f"{name}: exit {child.returncode}\n{out}\n{err}"
        (answers[name],) = json.loads(out)
    return answers


def write_target(root: Path, limits: str) -> None:
    (root / "scenarios").mkdir(exist_ok=True)
    (root / "scenarios" / "targets.yaml").write_text(TARGETS.format(limits=limits))


@pytest.mark.parametrize("name", PROBES)
def test_the_ceiling_that_was_set_is_found(found: dict[str, dict[str, Any]], name: str) -> None:
    _, _, limit, mechanism = PROBES[name]
    answer = found[name]
    ceiling = answer["best"]["ceiling"]
    assert answer["ended"] == "found"
    assert ceiling["a_minute"] == pytest.approx(limit, rel=0.05)
    assert ceiling["mechanism"] == mechanism
    assert answer["advertised_a_minute"] == limit
    assert answer["best"]["emulated"]
    assert answer["best"]["told"]["enough"] > 0.9  # the emulator's waits are true
    assert answer["best"]["named"] == [answer["unit"]]


def test_the_probe_is_rows_like_any_run_and_can_be_read_again(
    found: dict[str, dict[str, Any]], spaces: dict[str, Workspace]
) -> None:
    space, answer = spaces["requests"], found["requests"]
    best = answer["best"]
    rows = space.sql(
        "select scenario, http_status, count(*) as n, count(retry_after_s) as told "
        "from attempts join runs using (run_id) "
        f"where run_id = '{best['run_id']}' group by all order by http_status"
    )
    assert [row["scenario"] for row in rows] == ["limits-rpm", "limits-rpm"]
    assert {str(row["http_status"]): row["n"] for row in rows} == best["statuses"]
    assert rows[1]["told"] == rows[1]["n"]
    (again,) = json.loads(space.run("limits", "--from", best["run_id"], "--json"))
    assert again["best"] == best
    (label,) = {row["label"] for row in space.sql("select label from runs")}
    (all_of_it,) = json.loads(space.run("limits", "--from", label, "--json"))
    assert all_of_it == {**answer, "ended": None}
    shown = space.run("limits", "--from", best["run_id"])
    assert "EMULATED" in shown
    assert "bucket that refills all the time" in shown


def test_stopped_by_the_person_it_says_what_is_known(workspace: Workspace) -> None:
    write_target(workspace.root, "{requests_per_minute: 60}")
    child = workspace.start("limits", "emulated-limited", "--only", "rpm")
    wait_until(lambda: records_written(workspace), "records of the probe")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130, out + err
    assert "at most 5,000 requests and 4 min" in err
    assert "not found: no refusal up to 60 a minute" in out
    assert workspace.run_folders()
