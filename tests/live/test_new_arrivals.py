"""A new arrival process is one file and one table line: it is planned, run, judged and shown."""

import json
from pathlib import Path

import numpy as np
import pytest

from observatory.site.loads import load_of
from observatory.site.queries.rows import StageRow
from observatory.store.queries.typed_rows import columns_of, rows_of
from observatory.workload.draws import UniformStream
from tests.live.harness import Workspace
from tests.live.product import add_line, copy_product

pytestmark = pytest.mark.live

ERLANG = '''
"""Erlang arrivals: gaps of two exponential parts, more even than Poisson's."""

from typing import ClassVar, Literal

import numpy as np

from observatory.core.arrivals.process import OpenLoop, UniformSource, before


class ErlangArrivals(OpenLoop):
    """Requests leave after gaps of mean 1 / rate, each the sum of two exponential parts."""

    kind: Literal["erlang"]
    label: ClassVar[str] = "open loop, Erlang of two parts"

    def draw(self, draws: UniformSource, rate_per_s: float, length_s: float) -> list[int]:
        """Return the offsets, from two uniforms each."""
        parts_s = -np.log1p(-draws.uniforms(20_000)) / (2 * rate_per_s)
        instants_s = np.cumsum(parts_s.reshape(-1, 2).sum(axis=1))
        return before(np.rint(instants_s * 1e9).astype(np.int64), length_s)
'''
SCENARIO = """
name: erlang
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 4}
arrivals: {kind: erlang, max_in_flight: 1}
stages: [{rate: 4/s}, {rate: 40/s}]
timing: {warmup: 500ms, steady: 4s, drain: 500ms}
telemetry: {interval: 500ms, codecarbon: false}
targets:
  - kind: emulated
    name: emulated-a
    profile: {ttft_median: 100ms, ttft_p95: 110ms, inter_token_median: 1ms, inter_token_p95: 2ms}
"""


def add_erlang(workspace: Workspace) -> None:
    arrivals = copy_product(workspace) / "core" / "arrivals"
    (arrivals / "erlang.py").write_text(ERLANG)
    table = arrivals / "catalogue.py"
    add_line(table, "PoissonArrivals,", "ErlangArrivals,")
    poisson = "from observatory.core.arrivals.poisson import PoissonArrivals"
    add_line(table, poisson, "from observatory.core.arrivals.erlang import ErlangArrivals")
    workspace.write("erlang", SCENARIO)


def test_it_needs_no_other_place(workspace: Workspace) -> None:
    add_erlang(workspace)
    planned = json.loads(workspace.run("scenario", "plan", "erlang", "--json"))
    parts_s = -np.log1p(-UniformStream(3, "arrivals", 0).uniforms(20_000)) / 8
    gaps_s = parts_s.reshape(-1, 2).sum(axis=1)
    first = planned["stages"][0]
    assert np.allclose(first["first_offsets_s"], np.cumsum(gaps_s)[: len(first["first_offsets_s"])])
    assert first["level"] == "4 requests/s, erlang"

    printed = workspace.measure("erlang")
    assert "40 requests/s, erlang" in printed
    stages = workspace.sql("select kind, rate_per_s, planned from stages order by stage")
    assert [(one["kind"], one["rate_per_s"]) for one in stages] == [("erlang", 4), ("erlang", 40)]
    # One in flight, 100 ms each: at most 10 of the 40 a second can leave.
    (most,) = workspace.sql("select max(in_flight) as most from ticks")
    assert most == {"most": 1}
    late = workspace.sql("select stage, message from findings where code = 'offered_rate'")
    assert [one["stage"] for one in late] == [1]

    stages = workspace.sql(f"select {columns_of(StageRow)} from stages order by stage")
    loads = [load_of(row) for row in rows_of(StageRow, stages)]
    assert [load.axis for load in loads] == ["Requests offered per second"] * 2
    workspace.run("site", "build")
    (page,) = Path(workspace.root, "site", "dist", "runs").glob("*.html")
    assert "open loop, Erlang of two parts" in page.read_text()
    assert "4 requests/s" in page.read_text()
