"""The machine in a manifest: every field is there, null where it is not available."""

import json
import subprocess
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from observatory.telemetry.machine import environment
from observatory.telemetry.machine.environment import (
    PACKAGES,
    cpu_governor,
    cpu_model,
    describe_environment,
    git_state,
    software_versions,
)

KEYS = {
    "host",
    "os",
    "kernel",
    "architecture",
    "cpu_model",
    "cpu_governor",
    "cores_physical",
    "cores_logical",
    "cores_usable",
    "memory_bytes",
    "gpus",
    "gpu_driver",
    "gpu_reason",
    "container",
    "hypervisor",
    "git_commit",
    "git_dirty",
}


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_every_field_is_there_and_is_json(tmp_path: Path) -> None:
    found = describe_environment(tmp_path)
    assert set(found) == KEYS
    assert json.loads(json.dumps(found)) == found
    assert found["memory_bytes"] == psutil.virtual_memory().total
    assert found["cores_logical"] >= found["cores_usable"] >= 1
    assert (found["gpus"] == []) == (found["gpu_driver"] is None)
    assert (found["gpus"] == []) == (found["gpu_reason"] is not None)


def test_outside_a_repository_git_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == (None, None)
    assert git_state(tmp_path / "nowhere") == (None, None)


def test_without_git_it_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == (None, None)


def test_a_commit_and_whether_tracked_files_differ(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    (tmp_path / "kept").write_text("one")
    _git(tmp_path, "add", "kept")
    _git(tmp_path, "commit", "-q", "-m", "first")
    commit = _git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("results are not the code")
    assert git_state(tmp_path) == (commit, False)
    (tmp_path / "kept").write_text("two")
    assert git_state(tmp_path) == (commit, True)


@pytest.mark.parametrize(
    ("cpuinfo", "model", "hypervisor"),
    [
        ("model name\t: Some CPU\nflags\t\t: fpu hypervisor sse\n", "Some CPU", "KVM maker"),
        ("model name\t: Some CPU\nflags\t\t: fpu sse\n", "Some CPU", None),
        ("processor\t: 0\nModel\t\t: Some Board\n", "Some Board", None),
    ],
)
def test_processor_and_hypervisor_are_read_as_the_kernel_writes_them(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str, model: str, hypervisor: str | None
) -> None:
    texts = {"/proc/cpuinfo": cpuinfo, "/sys/class/dmi/id/sys_vendor": "KVM maker\n"}
    monkeypatch.setattr(environment, "_text", lambda path: texts.get(str(path)))
    assert cpu_model() == model
    assert environment._hypervisor() == hypervisor


def test_governors_are_named_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = iter(["powersave\n", "performance\n", "powersave\n"])
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [Path("a"), Path("b"), Path("c")])
    monkeypatch.setattr(environment, "_text", lambda path: next(shown))
    assert cpu_governor() == "performance, powersave"


def test_versions_are_those_installed_and_a_missing_package_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = software_versions()
    assert versions["locust"] == metadata.version("locust")
    assert versions["observatory"] == metadata.version("inference-observatory")
    assert set(versions) == {"python", *PACKAGES}
    monkeypatch.setitem(PACKAGES, "imaginary", "no-such-distribution-anywhere")
    assert "imaginary" not in software_versions()
