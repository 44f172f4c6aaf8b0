"""Errors have the place and the fix; the anchor's arithmetic is exact."""

import os
import subprocess
import sys

import pytest

from observatory.core.clock import Anchor, read_both
from observatory.core.connection import Connection, KeySource, resolve, resolved_headers
from observatory.core.errors import BadInput, ExitCode, TargetFailed


def test_an_error_is_one_line_with_place_and_fix() -> None:
    error = BadInput("unknown key 'sped'", where="chat.yaml:4", fix="did you mean 'seed'?")
    assert str(error) == "chat.yaml:4: unknown key 'sped' — did you mean 'seed'?"
    assert error.exit_code == ExitCode.BAD_INPUT == 2
    assert TargetFailed("it died").exit_code == 4


def test_instants_count_from_the_anchor_and_a_step_shows() -> None:
    anchor = Anchor(realtime_ns=1_000, monotonic_ns=50)
    assert anchor.at(1_500) == 500
    assert anchor.offset_change_ns(realtime_ns=1_500, monotonic_ns=550) == 0
    assert anchor.offset_change_ns(realtime_ns=1_500, monotonic_ns=450) == 100


def test_both_clocks_are_read_together() -> None:
    first, second = read_both(), read_both()
    assert abs((second[0] - first[0]) - (second[1] - first[1])) < 50_000_000


def test_a_reference_is_read_from_the_environment_and_missing_is_named() -> None:
    assert resolve("Bearer ${KEY_A}", "header x", {"KEY_A": "s3"}) == "Bearer s3"
    with pytest.raises(BadInput, match="KEY_B is not set"):
        resolve("${KEY_B}", "header x", {})


def test_a_key_with_a_line_break_cannot_split_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_C", "abc\r\nX-Evil: 1")
    connection = Connection("http", "127.0.0.1", 1, "/v1", "m", key=KeySource(env="KEY_C"))
    with pytest.raises(BadInput, match="line break"):
        resolved_headers(connection)


def test_the_endpoint_of_a_record_has_no_query_or_key() -> None:
    connection = Connection(
        "https", "api.example.test", 443, "/v1", "m", query={"key": "${K}"}, key=KeySource(env="K")
    )
    assert connection.endpoint == "https://api.example.test/v1"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the death signal is Linux's")
def test_a_child_dies_with_its_parent(tmp_path: object) -> None:
    child = (
        "import os,time; from observatory.core.system.processes import die_with_parent; "
        "die_with_parent(int(os.environ['P'])); print('up', flush=True); time.sleep(60)"
    )
    parent = (
        "import os,subprocess,sys; "
        f"c = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE, "
        "env={**os.environ, 'P': str(os.getpid())}); c.stdout.readline(); "
        "print(c.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], check=False, capture_output=True, text=True, timeout=30
    )
    pid = int(done.stdout)
    for _ in range(200):
        try:
            state = open(f"/proc/{pid}/stat").read().split(")")[1].split()[0]  # noqa: SIM115, PTH123
        except FileNotFoundError:
            break
        if state == "Z":
            break
        os.sched_yield()
        import time

        time.sleep(0.02)
    else:
        pytest.fail("the child outlived its parent")
