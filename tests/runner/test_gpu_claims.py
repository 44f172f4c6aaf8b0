"""Which target gets which GPU: known machines, and the errors of impossible claims."""

from typing import Any

import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.vllm import VllmTarget
from observatory.runner import members
from observatory.runner.checks.gpu_claims import (
    check_free,
    check_ports_apart,
    check_together,
    claims_of,
)
from observatory.telemetry.machine.gpu_inventory import Gpu

MIB = 2**20


def gpu(name: str, uuid: str, used: int = 500 * MIB, users: tuple[str, ...] = ()) -> Gpu:
    return Gpu(name, int(name[3]), uuid, used, 80_000 * MIB, users)


GPUS = [
    gpu("gpu0", "GPU-aa"),
    gpu("gpu0/mig0", "MIG-cc"),
    gpu("gpu1", "GPU-ab"),
    gpu("gpu2", "GPU-b"),
]


def target(name: str = "a", **fields: Any) -> VllmTarget:
    return VllmTarget(**({"kind": "vllm", "name": name, "model": "org/m"} | fields))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["gpu0"]),
        ({"tensor_parallel_size": 2}, ["gpu0", "gpu1"]),
        ({"gpus": [2, "1"]}, ["gpu2", "gpu1"]),
        ({"gpus": ["GPU-b"]}, ["gpu2"]),
        ({"gpus": ["MIG-c"]}, ["gpu0/mig0"]),
        ({"gpus": []}, []),
        ({"url": "http://h/v1", "model": "m"}, []),
    ],
)
def test_which_it_will_use(fields: dict[str, Any], names: list[str]) -> None:
    assert [one.name for one in claims_of(target(**fields), GPUS)] == names


@pytest.mark.parametrize(
    ("fields", "gpus", "why"),
    [
        ({"gpus": [7]}, GPUS, r"there is no GPU 7 — name one of: gpu0 \(GPU-aa\), gpu0/mig0"),
        ({"gpus": ["GPU-a"]}, GPUS, "GPU-a matches several"),
        ({"gpus": [0]}, [], "there is no GPU 0 — this machine has none that NVML lists"),
        ({"tensor_parallel_size": 4}, GPUS, "is 4, and this machine has 3 GPUs — set .* to 3 or"),
    ],
)
def test_what_is_not_there(fields: dict[str, Any], gpus: list[Gpu], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        claims_of(target(**fields), gpus)


def test_those_named_are_written_down_as_the_sensors_call_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(members, "read_gpus", lambda: GPUS)
    named = {"gpus": ["GPU-b", 1], "gpu_devices": ["gpu2", "gpu1"]}
    assert members.assigned_gpus(target(gpus=["GPU-b", 1])) == named
    found = target(gpus=["GPU-b", 1], url="http://127.0.0.1:8000/v1")
    assert members.assigned_gpus(found) == named
    assert members.assigned_gpus(found, on_this_host=False) == {}
    assert members.assigned_gpus(target(gpus=["MIG-c"])) == {"gpus": ["MIG-c"], "gpu_devices": []}
    assert members.assigned_gpus(target()) == {}
    monkeypatch.setattr(members, "read_gpus", lambda: None)
    assert members.assigned_gpus(target(gpus=["GPU-b"])) == {"gpus": ["GPU-b"], "gpu_devices": []}


@pytest.mark.parametrize(
    ("fields", "visible", "names"),
    [
        ({}, "2,0", ["gpu2"]),
        ({"tensor_parallel_size": 2}, "2, GPU-ab", ["gpu2", "gpu1"]),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "1"}}, "2", ["gpu1"]),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "${MINE}"}}, "2", []),
        ({"gpus": [0]}, "2", ["gpu0"]),
        ({}, "9", []),
        ({}, "", []),
    ],
)
def test_what_the_shell_shows_it_is_what_it_will_use(
    fields: dict[str, Any], visible: str, names: list[str]
) -> None:
    assert [one.name for one in claims_of(target(**fields), GPUS, visible)] == names


def test_gpus_are_said_once() -> None:
    with pytest.raises(ValueError, match="gpus and environment's CUDA_VISIBLE_DEVICES"):
        target(gpus=[0], environment={"CUDA_VISIBLE_DEVICES": "1"})


def test_without_a_gpu_and_without_a_wish_there_is_nothing_to_claim() -> None:
    assert claims_of(target(tensor_parallel_size=2), []) == []


def test_one_that_is_in_use_is_said_and_by_whom() -> None:
    check_free(target(), GPUS)
    busy = [gpu("gpu0", "u", used=3072 * MIB, users=("python (process 12)", "process 13"))]
    with pytest.raises(
        EnvironmentFailed,
        match=r"target a: gpu0 is in use: 3\.0 GiB of its memory by python \(process 12\), process 13",
    ):
        check_free(target(), busy)
    hidden = [gpu("gpu0", "u", used=2048 * MIB)]
    with pytest.raises(EnvironmentFailed, match="by a process that the driver does not name"):
        check_free(target(), hidden)
    idle_but_open = [gpu("gpu0", "u", users=("process 5",))]
    with pytest.raises(EnvironmentFailed, match="by process 5"):
        check_free(target(), idle_but_open)


def test_two_that_want_the_same() -> None:
    check_together([target("a", gpus=[0]), target("b", gpus=[1])], GPUS)
    with pytest.raises(BadInput, match="a and b both want gpu0"):
        check_together([target("a"), target("b")], GPUS)
    with pytest.raises(BadInput, match="a, b, c all want gpu0"):
        check_together([target("a"), target("b"), target("c")], GPUS)
    halves = [target(name, gpu_memory_utilization=0.45) for name in "ab"]
    check_together(halves, GPUS)
    with pytest.raises(BadInput, match="at most 1 together"):
        check_together([*halves, target("c", gpu_memory_utilization=0.2)], GPUS)


def test_two_that_name_one_port() -> None:
    llama = LlamaCppTarget(kind="llamacpp", name="l", port=8001)
    check_ports_apart([target("a", port=8000), llama, target("b"), target("c")])
    with pytest.raises(BadInput, match="l and a both want port 8001"):
        check_ports_apart([llama, target("a", port=8001)])
