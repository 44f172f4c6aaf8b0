"""One invented run of each kind that pages have to tell apart."""

from typing import Any

from observatory.core.run import Finding
from tests.site.planting import Planted

SHARED_CORES = Finding(
    "shared_cores", "degraded", "client and engine share 2 processor cores", None, 2.0, 2.0
)
GPU_SILENT = Finding("telemetry_gap", "note", "nvml gpu0 gave no reading for 6.0 s", 1, 6.0, 3.0)
LLAMACPP = Planted(
    "smollm2-llamacpp",
    level="degraded",
    codes=["shared_cores"],
    sentence="degraded: client and engine share 2 processor cores (shared_cores)",
    findings=[SHARED_CORES, Finding("percentile_floor", "note", "too few for p99", 0, 130, 662)],
    endpoint="http://127.0.0.1:41234/v1",
    requests=160,
    right=0.31,
)
VLLM_CPU = Planted(
    "smollm2-vllm",
    kind="vllm",
    endpoint="http://127.0.0.1:41236/v1",
    ttft_s=0.2,
    right=0.3,
    scraped=True,
    requests=160,
    seed=13,
    facts={
        "engine": "vllm",
        "engine_version": "0.32.0",
        "engine_distribution": "vllm-cpu 0.32.0 (third party's CPU build of vLLM)",
        "engine_sha256": "ab12" * 16,
        "model": "smollm2-135m-instruct-q4_1",
        "model_revision": "12fd25f77366fa6b3b4b768ec3050bf629380bac",
        "model_sha256": "cd34" * 16,
        "parameters": 134_515_008,
        "weight_format": "bfloat16 safetensors, dequantised from Q4_1",
        "dtype": "bfloat16",
        "license": "Apache-2.0",
        "settings": {
            "flags": {"max_num_seqs": 8, "enforce_eager": True},
            "executable": "/root/somewhere/bin/vllm",
            "adapters": [{"name": "tone", "path": "/root/lora"}],
        },
    },
)
EMULATED = Planted(
    "emulated-api",
    kind="emulated",
    hosting="managed",
    weights="closed",
    billing="tokens",
    basis="emulated",
    ttft_s=0.2,
    gap_s=0.02,
    right=0.5,
    endpoint="http://127.0.0.1:41235/v1",
    seed=8,
)
_CHAT: dict[str, Any] = {
    "campaign": "20261119T120000Z-chat-steady-00bb",
    "created": "2026-11-19T12:00:00Z",
    "scenario": "chat-steady",
    "key": "feedface55667788",
    "arrivals": "poisson",
    "levels": (1.0, 2.0, 16.0),
    "requests": 240,
}
VLLM = Planted(
    "team-vllm",
    kind="url",
    basis="stated",
    gpu=True,
    scraped=True,
    silent=(130, 136),
    energy="measured",
    findings=[GPU_SILENT],
    facts={"engine": "vllm", "engine_version": "0.33.0", "dtype": "bfloat16"},
    endpoint="http://gpu-07.corp.example:8000/v1",
    ttft_s=0.05,
    gap_s=0.008,
    right=0.82,
    publish=True,
    **_CHAT,
)
MANAGED = Planted(
    "managed-open",
    kind="api",
    hosting="managed",
    billing="tokens",
    basis="list_price",
    endpoint="https://api.provider.example/v1",
    ttft_s=0.3,
    right=0.8,
    publish=True,
    seed=9,
    **_CHAT,
)
FAILING = Planted(
    "closed-frontier",
    kind="api",
    hosting="managed",
    weights="closed",
    billing="tokens",
    basis="list_price",
    ttft_s=0.45,
    right=0.93,
    fail=0.16,
    error_text="upstream gpu-07.corp.example said <b>no</b>",
    seed=10,
    **_CHAT,
)
INVALID = Planted(
    "bad-client",
    kind="url",
    basis=None,
    level="invalid",
    codes=["client_cpu"],
    sentence="invalid: a worker kept its core 98 % busy, so its own delay is in every figure.",
    findings=[Finding("client_cpu", "invalid", "worker core busy", None, 0.98, 0.95)],
    seed=11,
    **_CHAT,
)
INTERRUPTED = Planted(
    "stopped-early",
    campaign="20261118T080000Z-classify-short-00cc",
    created="2026-11-18T08:00:00Z",
    scenario="classify-short",
    key="0ddba11099aabbcc",
    kind="url",
    basis=None,
    status="interrupted",
    level="degraded",
    codes=["cut_short"],
    sentence="degraded: a person stopped it in its second stage.",
    requests=40,
    windowless=1,
    seed=12,
)
EVERYTHING = [LLAMACPP, VLLM_CPU, EMULATED, VLLM, MANAGED, FAILING, INVALID, INTERRUPTED]
