"""vLLM's arguments and environment from a target's fields; where a secret goes and where it does not."""

from typing import Any

import pytest
from pydantic import ValidationError

from observatory.core.errors import BadInput
from observatory.core.targets.vllm import VllmTarget
from observatory.core.targets.vllm_options import FlagValue
from observatory.engines.vllm_command import (
    CpuShare,
    ServedAdapter,
    arguments_of,
    chosen_environment,
    cpu_share,
    environment_of,
    flag_arguments,
    recorded_environment,
)


def target(**fields: Any) -> VllmTarget:
    return VllmTarget(**({"kind": "vllm", "name": "v", "model": "org/m"} | fields))


def arguments(adapters: list[ServedAdapter] | None = None, **fields: Any) -> list[str]:
    found = arguments_of(
        target(**fields), model="org/m", name="m", port=8000, adapters=adapters or []
    )
    head = ["serve", "org/m", "--host", "127.0.0.1", "--port", "8000", "--served-model-name", "m"]
    assert found[: len(head)] == head
    return found[len(head) :]


def test_a_plain_target_asks_for_nothing_but_quiet() -> None:
    assert arguments() == ["--disable-uvicorn-access-log"]
    assert arguments(flags={"disable_uvicorn_access_log": None}) == []


def test_every_field_has_its_flag() -> None:
    found = arguments(
        revision="main",
        dtype="float16",
        quantization="fp8",
        kv_cache_dtype="fp8",
        tensor_parallel_size=2,
        max_model_len=4096,
        max_num_seqs=64,
        enable_prefix_caching=False,
        enforce_eager=True,
        gpu_memory_utilization=0.5,
        flags={"max_num_batched_tokens": 2048},
    )
    assert " ".join(found) == (
        "--revision main --dtype float16 --quantization fp8 --kv-cache-dtype fp8 "
        "--tensor-parallel-size 2 --max-model-len 4096 --max-num-seqs 64 "
        "--no-enable-prefix-caching --enforce-eager --gpu-memory-utilization 0.5 "
        "--disable-uvicorn-access-log --max-num-batched-tokens 2048"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        (True, ["--f"]),
        (False, ["--no-f"]),
        (0, ["--f", "0"]),
        (1.5, ["--f", "1.5"]),
        ("text", ["--f", "text"]),
        ("-1", ["--f=-1"]),
        (["a", 2], ["--f", "a", "2"]),
        ({"mode": 3, "x": True}, ["--f", '{"mode":3,"x":true}']),
    ],
)
def test_each_kind_of_value(value: FlagValue, expected: list[str]) -> None:
    assert flag_arguments("f", value) == expected
    kept = target(flags={"f": value}).flags["f"]
    assert kept == value and type(kept) is type(value)


def test_names_are_written_as_in_its_help_and_keys_of_json_stay() -> None:
    flags = {"--max_num_batched_tokens": 1, "kernel_config.enable_jit_warmup": False}
    assert set(target(flags=flags).flags) == {
        "max-num-batched-tokens",
        "kernel-config.enable_jit_warmup",
    }


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"hf-token": "x"}, "process list"),
        ({"enable_log_requests": True}, "prompts and answers"),
        ({"api-key": "x"}, "has fields for it"),
        ({"ssl_keyfile": "x"}, "plain HTTP"),
        ({"chat-template": "${SECRET}"}, "process list"),
    ],
)
def test_flags_that_would_tell_a_secret_or_cut_us_off(flags: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        target(flags=flags)


def test_adapters_share_a_batch_and_have_room_for_the_largest_rank() -> None:
    found = arguments([ServedAdapter("a", "/l/a", 8), ServedAdapter("b", "/l/b", 20)])
    assert " ".join(found[:-1]) == (
        "--enable-lora --lora-modules a=/l/a b=/l/b --max-loras 2 --max-lora-rank 32"
    )
    unknown = arguments([ServedAdapter("a", "org/a", None)], flags={"max-loras": 4})
    assert " ".join(unknown) == (
        "--enable-lora --lora-modules a=org/a --max-loras 4 --disable-uvicorn-access-log"
    )


INHERITED = {
    "PATH": "/usr/bin",
    "PYTHONPATH": "/ours",
    "VIRTUAL_ENV": "/ours",
    "VLLM_API_KEY": "canary-1",
    "LOCUST_X": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "DEBUG",
    "OMP_NUM_THREADS": "5",
    "SECRET": "canary-2",
    "NCCL_DEBUG": "INFO",
}


def test_its_environment_is_its_own() -> None:
    ours = target(environment={"HF_TOKEN": "${SECRET}", "NCCL_DEBUG": "WARN"}, gpus=[1, "GPU-x"])
    found = environment_of(ours, INHERITED, folder="/e/bin", cpu=CpuShare(2, 4))
    assert found["PATH"] == "/e/bin:/usr/bin"
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "VLLM_API_KEY", "LOCUST_X"} & set(found)
    assert (found["HF_TOKEN"], found["NCCL_DEBUG"]) == ("canary-2", "WARN")
    assert found["HF_HUB_OFFLINE"] == "1"  # as the person has it
    assert found["OMP_NUM_THREADS"] == "5"
    assert (found["VLLM_NO_USAGE_STATS"], found["DO_NOT_TRACK"]) == ("1", "1")
    assert (found["VLLM_CPU_OMP_THREADS_BIND"], found["VLLM_CPU_KVCACHE_SPACE"]) == ("nobind", "4")
    assert (found["CUDA_VISIBLE_DEVICES"], found["CUDA_DEVICE_ORDER"]) == ("1,GPU-x", "PCI_BUS_ID")


def test_what_is_recorded_of_it_holds_no_secret() -> None:
    ours = target(environment={"HF_TOKEN": "${SECRET}", "OMP_NUM_THREADS": "3"})
    found = recorded_environment(ours, INHERITED, cpu=CpuShare(2, None))
    assert found["given"] == {"HF_TOKEN": "${SECRET}", "OMP_NUM_THREADS": "3"}
    assert found["chosen"] == {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    assert found["inherited"] == {
        "HF_HUB_OFFLINE": "1",
        "NCCL_DEBUG": "INFO",
        "VLLM_LOGGING_LEVEL": "DEBUG",
    }
    assert "canary" not in str(found)


def test_a_variable_that_is_not_set_is_said() -> None:
    with pytest.raises(BadInput, match="the environment variable NOT_SET is not set"):
        environment_of(target(environment={"A": "${NOT_SET}"}), {}, folder="/b", cpu=None)


def test_a_literal_secret_is_refused() -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "my_password", "OPENAI_APIKEY"):
        with pytest.raises(ValidationError, match="a secret is not allowed in a file"):
            target(environment={name: "canary"})
    with pytest.raises(ValidationError, match="HTTPS_PROXY: a secret is not allowed in a file"):
        target(environment={"HTTPS_PROXY": "http://me:canary@proxy:3128"})
    assert target(environment={"HTTPS_PROXY": "http://me:${PASS}@proxy:3128"})
    assert target(environment={"HTTPS_PROXY": "http://proxy:3128"})
    assert target(environment={"TOKENIZERS_PARALLELISM": "false", "VLLM_KEYS": "1"})


@pytest.mark.parametrize(
    ("cores", "available", "expected"),
    [(2, 12.0, (1, 3)), (1, 0.5, (1, 1)), (64, 512.0, (62, 4))],
)
def test_a_cpu_build_leaves_cores_and_memory(
    cores: int, available: float, expected: tuple[int, int]
) -> None:
    found = cpu_share(target(), {}, cores=cores, available_gib=available)
    assert (found.threads, found.kv_cache_gib) == expected


@pytest.mark.parametrize(
    ("fields", "inherited"),
    [
        ({"gpu_memory_utilization": 0.5}, {}),
        ({"flags": {"kv_cache_memory_bytes": 1}}, {}),
        ({"environment": {"VLLM_CPU_KVCACHE_SPACE": "1"}}, {}),
        ({}, {"VLLM_CPU_KVCACHE_SPACE": "1"}),
    ],
)
def test_a_kv_cache_that_a_person_sized_stays(
    fields: dict[str, Any], inherited: dict[str, str]
) -> None:
    found = cpu_share(target(**fields), inherited, cores=4, available_gib=16)
    assert found.kv_cache_gib is None
    assert "VLLM_CPU_KVCACHE_SPACE" not in chosen_environment(
        target(**fields), inherited, cpu=found
    )
