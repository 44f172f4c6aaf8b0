"""observatory emulate: its banner, its profile file, and a clean end at Ctrl-C."""

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from observatory.cli.emulate import banner_lines, emulate
from observatory.core.errors import BadInput
from observatory.core.profile import Profile

verb = typer.Typer()
verb.command()(emulate)


def test_the_banner_says_that_it_is_emulated_and_how_it_behaves() -> None:
    profile = Profile.model_validate({"slots": 4, "faults": {"http_500": 0.25, "reset": 0.01}})
    text = "\n".join(banner_lines(profile, "m", "::1", 8100))
    assert text.startswith("EMULATED endpoint")
    assert "http://[::1]:8100/v1" in text
    assert "first token   median 200 ms, p95 400 ms" in text
    assert "at once       4" in text
    assert "faults        http_500 25.0%, reset 1.0%" in text


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text("ttft_median: 1ms\nttft_p95: 1ms\nslots: 2\n")
    argv = [
        sys.executable,
        "-m",
        "observatory",
        "emulate",
        "--port",
        "0",
        str(profile),
    ]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        banner = ""
        while "Ctrl-C" not in banner:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            banner += line
        match = re.search(r"http://127\.0\.0\.1:(\d+)/v1", banner)
        assert match is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=10)
        connection.request("GET", "/v1/models")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest == "\nemulator ended after 1 request\n"
    assert errors == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ttft_median: 20\n", "profile.yaml:1: ttft_median: 20 is not a duration"),
        ("slotz: 3\n", "unknown key 'slotz', did you mean 'slots'"),
        ("faults: {reset: 0.7, stall: 0.7}\n", "the chances of faults add up to 1.4, more than 1"),
        ("", "the file is empty"),
    ],
)
def test_a_profile_that_is_wrong_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("profile.yaml").write_text(text)
    done = CliRunner().invoke(verb, ["profile.yaml"])
    assert isinstance(done.exception, BadInput)
    assert said in str(done.exception)
