"""observatory emulate: its banner, its profiles, its truth log, and a clean end at Ctrl-C."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from observatory.cli.setup.emulate import banner_lines, emulate, farewell
from observatory.core.emulation.profile import Profile
from observatory.core.errors import BadInput
from observatory.core.workspace import shipped
from observatory.emulator.emulator import Served
from observatory.inputs.profile_files import read_profile

verb = typer.Typer()
verb.command()(emulate)

IMITATES = {
    "what": "a made-up service",
    "figures": ["p50 TTFT 300 ms", "60 tokens/s"],
    "source": "a test’s own page",
    "date": "2026-01-31",
}


def banner(**fields: object) -> str:
    return "\n".join(banner_lines(Profile.model_validate(fields), "m", "::1", 8100))


def test_the_banner_says_that_it_is_emulated_and_how_it_behaves() -> None:
    text = banner(slots=4, faults={"http_500": 0.25, "reset": 0.01}, name="mine")
    assert text.startswith("EMULATED endpoint")
    assert "http://[::1]:8100/v1" in text
    assert "profile       mine" in text
    assert "first token   median 200 ms, p95 400 ms" in text
    assert "at once       4" in text
    assert "faults        http_500 25.0%, reset 1.0%" in text
    assert "capacity" not in text and "limits" not in text and "imitates" not in text


def test_the_banner_prints_the_capacity_that_is_computed_and_the_limits() -> None:
    knee = read_profile(shipped("scenarios") / "profiles" / "knee.yaml")
    text = "\n".join(banner_lines(knee, "m", "h", 1))
    assert "capacity      20 requests/s with answers of its own length (computed)" in text
    limited = banner(limits={"requests_per_minute": 300, "tokens_per_minute": 1000})
    assert "limits        300 requests_per_minute, 1000 tokens_per_minute" in limited


def test_a_profile_that_imitates_something_says_so_in_the_banner() -> None:
    text = "imitates a made-up service, by p50 TTFT 300 ms; 60 tokens/s (a test’s own page, 2026-01-31)"
    assert text in banner(imitates=IMITATES)


def test_the_farewell_tells_its_own_lateness() -> None:
    nothing = {"writes": 0, "p50_s": None, "p99_s": None, "max_s": None}
    assert farewell(Served(1, nothing)) == "emulator ended after 1 request"
    late = {"writes": 9, "p50_s": 5e-5, "p99_s": 2e-4, "max_s": 1e-3}
    assert farewell(Served(2, late)) == (
        "emulator ended after 2 requests; its own writes were late by p50 50 µs, p99 200 µs, "
        "max 1 ms"
    )


@contextmanager
def emulating(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """The verb in a child, its banner and its port."""
    argv = [sys.executable, "-m", "observatory", "emulate", "--port", "0", *arguments]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        text = ""
        while "Ctrl-C" not in text:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            text += line
        match = re.search(r"http://127\.0\.0\.1:(\d+)/v1", text)
        assert match is not None
        try:
            yield process, text, int(match[1])
        finally:
            process.kill()


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("ttft_median: 1ms\nttft_p95: 1ms\nslots: 2\n")
    with emulating(tmp_path, "mine.yaml") as (process, text, port):
        assert "profile       mine" in text
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/models")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest == "\nemulator ended after 1 request\n"
    assert errors == ""


def test_a_truth_log_is_whole_when_it_ends_and_an_imitation_is_in_every_head(
    tmp_path: Path,
) -> None:
    fields = {"output_tokens_median": 3, "output_tokens_p95": 3, "imitates": IMITATES}
    (tmp_path / "mine.yaml").write_text(json.dumps(fields))  # JSON is YAML
    with emulating(tmp_path, "mine.yaml", "--truth-log", "t.jsonl") as (process, _, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = {"model": "emulated-model", "messages": [{"role": "user", "content": "Hi"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps({**body, "stream": True}))
        response = connection.getresponse()
        response.read()
        assert response.headers["x-observatory-emulated"] == "1"
        assert response.headers["x-observatory-imitates"] == (
            "imitates a made-up service, by p50 TTFT 300 ms; 60 tokens/s (a test?s own page, "
            "2026-01-31)"
        )
        for path, kind in (("/metrics", "text/plain"), ("/emulator/lateness", "application/json")):
            connection.request("GET", path)
            page = connection.getresponse()
            text = page.read().decode()
            assert page.headers["content-type"].startswith(kind)
            if path == "/metrics":
                assert 'vllm:generation_tokens_total{model_name="emulated-model"} 3.0' in text
                assert 'vllm:prompt_tokens_total{model_name="emulated-model"} 1.0' in text
                assert 'vllm:num_requests_running{model_name="emulated-model"} 0.0' in text
                assert 'vllm:num_requests_waiting{model_name="emulated-model"} 0.0' in text
            else:
                writes = json.loads(text)["writes"]
        connection.close()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert "emulator ended after 3 requests; its own writes were late by p50 " in rest
    about, answer, *_, end = map(json.loads, (tmp_path / "t.jsonl").read_text().splitlines())
    assert about["profile"]["imitates"] == IMITATES
    assert sum(tokens for _, _, _, tokens in answer["writes"]) == 3
    assert end["requests"] == 3
    # How many depends on the machine: events that are due together leave in one write.
    assert writes == end["lateness"]["writes"] == len(answer["writes"]) > 0


def test_the_profiles_are_listed() -> None:
    done = CliRunner().invoke(verb, ["--list"])
    assert done.exit_code == 0
    assert re.search(r"^steady +Exactly 100 ms", done.stdout, re.MULTILINE)
    assert len(done.stdout.splitlines()) >= 8


def test_an_unknown_profile_is_said() -> None:
    done = CliRunner().invoke(verb, ["stedy"])
    assert isinstance(done.exception, BadInput)
    assert "did you mean 'steady'" in str(done.exception)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ttft_median: 20\n", "profile.yaml:1: ttft_median: 20 is not a duration"),
        ("slotz: 3\n", "unknown key 'slotz', did you mean 'slots'"),
        ("faults: {reset: 0.7, stall: 0.7}\n", "the chances of faults add up to 1.4, more than 1"),
        ("", "the file is empty"),
    ],
)
def test_a_profile_that_is_wrong_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("profile.yaml").write_text(text)
    done = CliRunner().invoke(verb, ["profile.yaml"])
    assert isinstance(done.exception, BadInput)
    assert message in str(done.exception)
