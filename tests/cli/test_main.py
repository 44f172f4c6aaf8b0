"""The command itself: light to start, every verb helpful, errors in one line."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

HEAVY = {
    "duckdb",
    "polars",
    "altair",
    "locust",
    "gevent",
    "openai",
    "numpy",
    "scipy",
    "rich",
    "pydantic",
}
VERBS = [
    ["init"], ["doctor"], ["run"], ["sql"], ["schema"], ["export"], ["rebuild"], ["emulate"],
    ["scenario", "list"], ["scenario", "show"], ["scenario", "check"], ["scenario", "schema"],
    ["scenario", "plan"], ["runs", "list"], ["runs", "show"], ["runs", "label"],
    ["runs", "delete"], ["site", "build"], ["site", "serve"], ["target", "list"],
    ["target", "check"], ["model", "pull"], ["model", "list"], ["engine", "install"],
    ["engine", "list"], ["engine", "remove"], ["limits"], ["prices", "list"],
    ["prices", "show"], ["prices", "check"], ["prices", "update"], ["prices", "reprice"],
]  # fmt: skip


def observatory(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "observatory", *arguments],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, json\nsys.argv = ['observatory', '--help']\n"
        "from observatory.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "typer" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verbs_help_has_an_example(verb: list[str]) -> None:
    done = observatory(*verb, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Example: observatory {' '.join(verb)}" in " ".join(done.stdout.split())


def test_the_version_is_printed() -> None:
    done = observatory("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"observatory {version('inference-observatory')}\n"


def test_an_error_of_ours_is_one_line_and_a_wrong_option_exits_2(tmp_path: Path) -> None:
    done = observatory("run", "no-such-scenario", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("observatory: ")
    assert "no-such-scenario" in done.stderr
    assert "Traceback" not in done.stderr
    assert observatory("run", "quickstart", "--no-such-option", cwd=tmp_path).returncode == 2


def test_init_then_the_shipped_scenarios_check_from_there(tmp_path: Path) -> None:
    place = tmp_path / "work"
    done = observatory("init", str(place))
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (place / "scenarios").glob("*.yaml"))
    assert {"quickstart.yaml", "chat-steady.yaml", "targets.yaml"} <= set(names)
    assert (place / "loadtests" / "chat.py").is_file()
    assert observatory("scenario", "check", "scenarios/quickstart.yaml", cwd=place).returncode == 0
    dry = observatory("run", "quickstart", "--dry-run", "--json", cwd=place)
    assert dry.returncode == 0, dry.stderr
    assert {target["target"] for target in json.loads(dry.stdout)["targets"]} == {
        "smollm2-llamacpp",
        "emulated-api",
    }
