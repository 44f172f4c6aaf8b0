"""Which names mean the same model."""

import pytest

from observatory.core.targets.model_names import same_model


@pytest.mark.parametrize(
    ("requested", "named"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("GPT-4o", "gpt-4o"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4-20250514"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("llama-3.1-8b", "Meta-Llama-3.1-8B-Instruct"),
        ("/models/smol/SmolLM2-135M-Instruct-Q4_K_M.gguf", "SmolLM2-135M-Instruct"),
        ("smol", "/srv/models/smol/"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1"),
        ("llama3:latest", "llama3"),
        ("mistral-small-latest", "mistral-small-2506"),
        ("gemini-flash-latest", "gemini-2.5-flash-preview-09-2025"),
        ("gemini-1.5-pro", "gemini-1.5-pro-001"),
        ("grok-4", "grok-4-0709"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen2.5-7B-Instruct"),
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", "llama-v3p1-8b-instruct"),
        ("tgi", "meta-llama/Llama-3.1-8B-Instruct"),
        ("openrouter/auto", "anthropic/claude-sonnet-4"),
    ],
)
def test_the_same_model(requested: str, named: str) -> None:
    assert same_model(requested, named)


@pytest.mark.parametrize(
    ("requested", "named"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4"),
        ("gpt-4-turbo", "gpt-3.5-turbo"),
        ("claude-3-sonnet", "claude-3-5-sonnet-20241022"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-haiku-20241022"),
        ("llama-3.1-8b", "llama-3.1-70b"),
        ("gemini-2.5-pro", "gemini-2.5-flash"),
        ("mistral-small-latest", "mistral-large-2411"),
        ("emulated-model", "emulated-model-swapped"),
        ("qwen2.5-7b", "qwen2-7b"),
    ],
)
def test_another_model(requested: str, named: str) -> None:
    assert not same_model(requested, named)
