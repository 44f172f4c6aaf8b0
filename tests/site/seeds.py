"""One invented run of each kind that pages have to distinguish."""

from typing import Any

from observatory.core.run import Finding
from observatory.economics.price_details import PriceDetails, PriceTier
from observatory.economics.price_rows import PriceRow
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
    figures={
        "server_queue_s": ({"value": 0.01, "n": 120}, {"value": 0.04, "n": 120}),
        "server_prefill_s": ({"value": 0.15, "n": 120}, {"value": 0.2, "n": 120}),
        "server_decode_s": ({"value": 0.4, "n": 120}, {"value": 0.6, "n": 120}),
        "server_ttft_s": ({"value": 0.16, "n": 120}, {"value": 0.24, "n": 120}),
    },
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
            "arguments": ["serve", "/srv/models/small", "--max-num-seqs", "8"],
            "environment": {"HOME": "/root"},
            "resolved": {
                "arguments": {
                    "model_tag": "/srv/models/small",
                    "host": "127.0.0.1",
                    "port": 1,
                    "max_num_seqs": 8,
                    "enforce_eager": True,
                },
                "prefix_caching": True,
                "device": "cpu",
                "tokenizer": "/srv/models/small",
                "kv_cache_tokens": 46592,
                "kv_cache_gib": 1.0,
                "init_s": 41.76,
                "cache": {"block_size": 128},
            },
            "adapters": [{"name": "tone", "path": "/srv/lora"}],
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
    refused=0.2,
    facts={"throttling": "obey", "wire": "openai"},
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
_RANGE = {"low": 2.0, "high": 8.0, "basis": "modelled", "scopes": "host modelled"}
_WITHHELD = {
    "value": None,
    "n": 120,
    "reason": "energy_gap: gpu energy has no reading for 6.0 s of the window",
}
VLLM = Planted(
    "team-vllm",
    kind="url",
    basis="stated",
    gpu=True,
    scraped=True,
    silent=(130, 136),
    energy="measured",
    figures={
        "wh_per_1k_requests": (
            {"value": 12.5, "basis": "measured", "scopes": "gpu measured"},
            _WITHHELD,
            {"value": 7.5, "basis": "measured", "scopes": "gpu measured"},
        ),
        "kgco2e_per_million_requests": (
            {"value": 4.5, "basis": "measured"},
            _WITHHELD,
            {"value": 2.7, "basis": "measured"},
        ),
    },
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
    energy="modelled",
    figures={"j_per_request": tuple({"value": 5.0 * level} | _RANGE for level in (1, 1, 1))},
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
_LEDGER = PriceDetails(
    package="genai-prices",
    version="0.0.71",
    provider="example",
    model="limited-large",
    dated=True,
    service_tier="standard",
    applied_at="2026-11-19T12:00:00+00:00",
)
_LISTED = ("list_price", "genai-prices: example.com/pricing", "2026-09-01")
LIMITED = Planted(
    "closed-limited",
    kind="api",
    hosting="managed",
    weights="closed",
    billing="tokens",
    basis="list_price",
    endpoint="https://api.limited.example/v1",
    ttft_s=0.25,
    right=0.9,
    refused=0.4,
    paced_s=0.15,
    said={
        "model_reported": "limited-large-2026-10-01",
        "system_fingerprint": "fp_4f1c",
        "service_tier": "default",
        "processing_ms": 212.0,
    },
    prices=[
        PriceRow(
            "input",
            2.5,
            *_LISTED,
            details=_LEDGER.joined(PriceDetails(tiers=[PriceTier(200_000, 5.0)])),
        ),
        PriceRow("output", 10.0, *_LISTED, details=_LEDGER),
        PriceRow("cached_input", 0.25, *_LISTED, details=_LEDGER),
    ],
    quote={
        "target": "closed-limited",
        "emulated": False,
        "price_sources": [],
        "price_dates": [],
        "stages": [],
        "budget": {},
        "assumptions": [],
        "prompt_tokens": {"low": 0.0, "expected": 0.0, "high": 0.0},
        "requests": {"low": 700.0, "expected": 720.0, "high": 760.0},
        "output_tokens": {"low": 18_000.0, "expected": 26_000.0, "high": 43_200.0},
        "usd": {"low": 0.31, "expected": 0.52, "high": 0.91},
        "price_basis": "list_price",
        "capped": [],
    },
    facts={
        "provider": "example",
        "wire": "openai",
        "transport": "lean",
        "throttling": "obey",
        "service_tier": "auto",
        "model_reported": "limited-large-2026-10-01",
        "system_fingerprints": ["fp_4f1c"],
    },
    seed=14,
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
_CONFOUNDED = "engine and weight_format change together: neither's effect is known"
_CELLS: tuple[dict[str, Any], ...] = (
    {
        "name": "small-llamacpp",
        "factors": {"engine": "llama.cpp", "weight_format": "GGUF Q4_1"},
        "facts": {"weight_format": "GGUF Q4_1"},
        "ttft_s": 0.1,
        "kind": "llamacpp",
    },
    {
        "name": "small-vllm",
        "factors": {"engine": "vllm==0.32.0", "weight_format": "bfloat16"},
        "facts": VLLM_CPU.facts,
        "ttft_s": 0.2,
        "kind": "vllm",
    },
    {
        "name": "small-vllm-eager",
        "factors": {"engine": "vllm==0.32.0", "weight_format": "/models/bfloat16-eager"},
        "facts": VLLM_CPU.facts,
        "ttft_s": 0.3,
        "kind": "vllm",
    },
)


def matrix_runs(blocks: int = 2) -> list[Planted]:
    """Three cells in as many blocks; the last cell crashed in every block, the order is drawn."""
    found = []
    for block in range(blocks):
        for turn, place in enumerate((1, 0, 2) if block else (0, 2, 1)):
            cell = dict(_CELLS[place])
            own = {"factors": cell.pop("factors"), "block": block, "cell": place}
            crashed = place == len(_CELLS) - 1
            found.append(
                Planted(
                    **cell,
                    campaign="20261117T100000Z-engines-00dd",
                    created=f"2026-11-17T10:{block}{2 * turn}:00Z",
                    scenario="engines",
                    key="d00dfeed99887766",
                    requests=40,
                    status="crashed" if crashed else "complete",
                    level="invalid" if crashed else "valid",
                    sentence="invalid: the engine ended" if crashed else "valid: no doubt",
                    matrix=own | {"turn": block * len(_CELLS) + turn, "confounded": [_CONFOUNDED]},
                    seed=20 + block * len(_CELLS) + place,
                )
            )
    return found


EVERYTHING = [
    LLAMACPP,
    VLLM_CPU,
    EMULATED,
    VLLM,
    MANAGED,
    FAILING,
    LIMITED,
    INVALID,
    INTERRUPTED,
    *matrix_runs(),
]
