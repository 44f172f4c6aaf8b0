"""The ledger of a real engine: an idle baseline, rows of its stage, and what the gates let pass."""

import pytest

from tests.live.harness import Workspace

pytestmark = pytest.mark.live

REAL = """
name: real
workload: {{kind: tasks, tasks: [passage-questions], items: 4, max_tokens: 8, cache: natural}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 1}}]
timing: {{warmup: 1s, steady: {steady}, drain: 60s}}
telemetry: {{interval: 1s, idle: {idle}, pue: 1.5}}
targets: [{{kind: llamacpp, name: local, parallel: 1, context: 1024}}]
"""


@pytest.mark.alone
def test_an_engine_rests_before_its_load_and_both_are_in_the_ledger(workspace: Workspace) -> None:
    workspace.write("real", REAL.format(steady="31s", idle="5s"))
    workspace.measure("real")
    manifest = workspace.manifest()
    idle, (stage,) = manifest["idle"], manifest["stages"]
    assert 5e9 <= idle["ended"] - idle["started"] < 8e9
    assert idle["ended"] <= stage["started"], "no request was open meanwhile"
    rows = {
        (row["stage"], row["subject"]): row
        for row in workspace.sql("select * exclude (label) from energy_per_stage")
    }
    assert {(None, "shared_host"), (None, "target"), (0, "target"), (0, "client")} <= set(rows)
    for line in rows.values():
        assert line["cpu_j"] is not None or line["reasons"], line
    rest, load = rows[None, "target"], rows[0, "target"]
    if load["cpu_j"] is None:
        pytest.skip(f"this machine kept the sensors waiting: {load['reasons']}")
    assert load["window_s"] == 31
    assert load["overhead_j"] == pytest.approx(load["cpu_j"] / 2)
    assert rest["power_w"] < load["power_w"], "an engine that works takes more of the processors"
    (figures,) = workspace.sql(
        "select energy_j, power_w, idle_power_w, j_per_request, kwh_per_million_requests, "
        "facility_energy_j, energy_basis, energy_scopes from stage_summary"
    )
    assert figures["energy_j"] == pytest.approx(load["cpu_j"])
    assert figures["idle_power_w"] == pytest.approx(rest["power_w"])
    assert figures["kwh_per_million_requests"] == pytest.approx(figures["j_per_request"] / 3.6)
    assert figures["facility_energy_j"] == pytest.approx(1.5 * load["cpu_j"])
    assert (figures["energy_basis"], figures["energy_scopes"]) == ("estimated", "cpu estimated")


def test_a_short_window_and_no_baseline_leave_the_ledger_and_no_figure(
    workspace: Workspace,
) -> None:
    workspace.write("real", REAL.format(steady="6s", idle="0s"))
    workspace.measure("real")
    assert workspace.manifest()["idle"] is None
    (rows,) = workspace.sql(
        "select count(*) filter (where stage is null) as idle, "
        "count(*) filter (where stage = 0 and subject = 'target') as target from energy"
    )
    assert rows["idle"] == 0
    assert rows["target"] == 2, "its share of the processors, and the overhead on it"
    (figure,) = workspace.sql(
        "select value, reason from stage_metrics where metric = 'j_per_request'"
    )
    assert figure["value"] is None
    assert "energy_window: the window is 6 s long, energy needs 30 s" in figure["reason"]
    assert "energy_window" in [finding["code"] for finding in workspace.manifest()["findings"]]
