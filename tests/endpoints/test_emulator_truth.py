"""The truth log and the emulator's own lateness: known quantiles, and lines with the sent bytes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import EnvironmentFailed
from observatory.emulator.truth import TruthLog, WriteLateness
from tests.endpoints.emulated_streams import profile
from tests.endpoints.virtual_time import FakeTransport, world


def test_lateness_of_nothing_is_null() -> None:
    assert WriteLateness().summary() == {"writes": 0, "p50_s": None, "p99_s": None, "max_s": None}


def test_lateness_has_the_quantiles_of_what_was_added() -> None:
    lateness = WriteLateness()
    for microseconds in range(1000):
        lateness.add(microseconds * 1e-6 + 1e-9)
    lateness.add(-1e-7)
    assert lateness.quantile_s(0.5) == pytest.approx(500e-6, abs=2e-6)
    assert lateness.quantile_s(0.99) == pytest.approx(990e-6, abs=2e-6)
    lateness.add(2.5)
    assert lateness.summary()["max_s"] == 2.5
    assert lateness.quantile_s(1.0) == 2.5


@given(late=st.lists(st.floats(0, 0.2), min_size=1), share=st.floats(0.01, 1))
def test_a_quantile_is_exact_to_a_microsecond(late: list[float], share: float) -> None:
    lateness = WriteLateness()
    for value in late:
        lateness.add(value)
    rank = max(1, -int(-share * len(late) // 1))
    exact = sorted(late)[rank - 1]
    found = lateness.quantile_s(share)
    assert found is not None
    if exact < 0.1:
        assert exact - 1e-9 <= found <= exact + 1.001e-6
    else:
        assert found == max(late)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_request_has_a_line_with_every_write(tmp_path: Path) -> None:
    truth = TruthLog(tmp_path / "truth.jsonl", {"model": "m"})
    made = world(profile(), truth)
    sent: list[FakeTransport] = []
    try:
        sent.append(made.client(think_s=100))
        made.run(1)
    finally:
        made.loop.close()
        truth.close(made.model.lateness)
    about, request, end = lines(tmp_path / "truth.jsonl")
    assert about == {"truth": 1, "clock": "CLOCK_REALTIME", "model": "m"}
    assert (request["request"], request["id"]) == (1, "req-emulated-00000001")
    assert (request["connection"], request["path"]) == (0, "/v1/chat/completions")
    assert (request["status"], request["fault"], request["gone"]) == (200, None, False)
    assert (request["prompt_tokens"], request["output_tokens"]) == (1, 6)
    assert request["read_ns"] <= request["started_ns"] <= request["ended_ns"]
    writes = request["writes"]
    assert len(writes) == len(sent[0].writes) == 7
    assert [tokens for _, _, _, tokens in writes] == [0, 1, 1, 1, 1, 1, 1]
    assert [events for _, _, events, _ in writes] == [1, 1, 1, 1, 1, 1, 2]
    instants = [instant for instant, _, _, _ in writes]
    assert instants == sorted(instants)
    assert request["started_ns"] <= instants[0] and instants[-1] <= request["ended_ns"]
    assert {late for _, late, _, _ in writes} == {0}
    assert end["end"] is True and end["requests"] == 1
    assert end["lateness"]["writes"] == 7


def test_faults_refusals_and_clients_that_leave_are_told(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    for faults, expected in (
        ({"http_503": 1.0}, ("http_503", 503, False)),
        ({"reset": 1.0}, ("reset", 200, False)),
        ({}, (None, 200, True)),
    ):
        truth = TruthLog(path, {})
        made = world(profile(faults=faults), truth)
        try:
            transport = made.client(think_s=100)
            made.run(0.12 if not faults else 1)
            if not faults:
                transport.leave()
        finally:
            made.loop.close()
            truth.close(made.model.lateness)
        _, request, _ = lines(path)
        assert (request["fault"], request["status"], request["gone"]) == expected


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="the truth log cannot be written"):
        TruthLog(tmp_path / "none" / "truth.jsonl", {})
