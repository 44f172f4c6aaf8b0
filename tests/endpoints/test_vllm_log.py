"""vLLM's own log, as vLLM 0.32 wrote it (shortened): how far it is, what was resolved, why it ended."""

from itertools import groupby
from pathlib import Path

import pytest

from observatory.engines.vllm_log import reasons, resolved, stage_of

LOGS = Path(__file__).with_name("vllm_logs")


def recorded(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8").splitlines()


def test_the_stages_of_a_start() -> None:
    reported = [stage_of(line) for line in recorded("engine_core_killed")]
    assert [stage for stage, _ in groupby(stage for stage in reported if stage)] == [
        "loading weights",
        "loading weights, shard 0/1",
        "loading weights, shard 1/1",
        "weights are loaded",
        "compiling",
        "compiled",
        "KV cache of 46,592 tokens allocated",
        "engine initialised",
        "starting the server",
    ]


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("Capturing CUDA graphs (decode, FULL):  40%|####      | 4/10", "capturing CUDA graphs"),
        ("(EngineCore_DP0 pid=7) INFO 11-27 07:43:52 [kv_cache_utils.py:1] GPU KV cache size: "
         "1,234 tokens", "KV cache of 1,234 tokens allocated"),
        ("INFO 11-27 07:43:52 [api_server.py:1] Starting vLLM API server 0 on http://h:1",
         "starting the server"),
        ("INFO:     Application startup complete.", None),
        ("", None),
    ],
)  # fmt: skip
def test_stages_of_other_versions_and_devices(line: str, stage: str | None) -> None:
    assert stage_of(line) == stage


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("unknown_flag", "unrecognized arguments: --no-such-flag 3"),
        ("too_long", "pydantic_core._pydantic_core.ValidationError: 1 validation error for "
         "ModelConfig Value error, User-specified max_model_len (999999) is greater than"),
        ("damaged_weights", "safetensors._safetensors_rust.SafetensorError: Error while "
         "deserializing header: incomplete metadata, file not fully covered"),
        ("offline", "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate"),
        ("engine_core_killed", "[shutdown] MPClient: engine core exited unexpectedly"),
        ("worker_killed", "Worker proc VllmWorker-0 died unexpectedly (exit code: None)"),
    ],
)  # fmt: skip
def test_the_root_comes_before_those_that_point_at_it(name: str, first: str) -> None:
    found = reasons(recorded(name))
    assert found[0].startswith(first)
    assert not any("root cause" in line for line in found)


def test_one_that_only_points_is_better_than_nothing() -> None:
    line = "RuntimeError: Engine core initialization failed. See root cause above."
    assert reasons(["(APIServer pid=1) Traceback (most recent call last):", line]) == [line]
    assert reasons(["INFO:     Application startup complete."]) == []


def test_what_its_flags_came_to() -> None:
    found = resolved(recorded("engine_core_killed"))
    assert found["arguments"]["max_model_len"] == 1024
    assert (found["dtype"], found["max_model_len"], found["device"]) == ("bfloat16", 1024, "cpu")
    assert (found["prefix_caching"], found["chunked_prefill"]) == (True, True)
    assert (found["enforce_eager"], found["quantization"]) == (False, None)
    assert found["architecture"] == "LlamaForCausalLM"
    assert (found["kv_cache_tokens"], found["kv_cache_concurrency"]) == (46_592, 45.5)
    assert (found["kv_cache_gib"], found["weights_load_s"], found["init_s"]) == (1.0, 0.98, 79.14)
    assert found["attention_backend"] is None  # not in the CPU build's log


def test_lines_of_a_gpu() -> None:
    head = "(EngineCore pid=7) INFO 11-27 07:43:52 [x.py:1] "
    found = resolved(
        head + line
        for line in (
            "Using FLASH_ATTN attention backend out of potential backends: ['FLASH_ATTN', 'X'].",
            "Chunked prefill is enabled with max_num_batched_tokens=8192.",
            "Model loading took 14.99 GiB memory and 5.123 seconds",
            "Available KV cache memory: 54.25 GiB",
            "GPU KV cache size: 444,416 tokens, Maximum concurrency for 8,192 tokens per request: 54.25x",
            "torch.compile took 8.21 s in total",
            "Graph capturing finished in 4 secs, took 0.61 GiB",
        )
    )
    assert found["attention_backend"] == "FLASH_ATTN"
    assert found["max_num_batched_tokens"] == 8192
    assert (found["weights_gib"], found["kv_cache_gib"]) == (14.99, 54.25)
    assert (found["kv_cache_tokens"], found["compile_s"], found["cuda_graphs_s"]) == (
        444_416,
        8.21,
        4.0,
    )


def test_nothing_recognised_is_all_null() -> None:
    assert set(resolved(["anything", "non-default args: {'a': <X>}"]).values()) == {None}
