"""The verbs `site build` and `site serve`."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from observatory.cli.results.site import app
from observatory.core.workspace import Workspace

SERVE = "from observatory.cli.results.site import app; app()"


def test_build_says_where_the_front_page_lies(
    planter: Callable[..., Workspace], seeds: dict[str, Any], tmp_path: Path
) -> None:
    workspace = planter(seeds["stopped-early"])
    out = tmp_path / "pages"
    given = ["build", "--results", str(workspace.results), "--out", str(out)]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(out / "index.html")
    assert (out / "index.html").is_file()


def test_every_help_ends_with_an_example() -> None:
    for verb in ("build", "serve"):
        result = CliRunner().invoke(app, [verb, "--help"])
        assert "Example: observatory site" in result.output


def test_serve_builds_then_serves_until_interrupted(workspace: Workspace, tmp_path: Path) -> None:
    workspace.results.mkdir(parents=True)
    given = ["serve", "--port", "0", "--results", str(workspace.results), "--out", "pages"]
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, *given],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}index.html", timeout=20) as answer:
            assert b"Nothing has been measured yet" in answer.read()
        time.sleep(0.1)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
    finally:
        server.kill()
        server.wait()
