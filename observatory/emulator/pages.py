"""The emulator's own metrics: its load in Prometheus text under vLLM's names, and its lateness.

Names and meanings are vLLM's (docs.vllm.ai, "Production metrics"), so that a reader of a vLLM's
concurrency can read the emulator's.
"""

import msgspec

from observatory.emulator.load import Slots
from observatory.emulator.requests import Reply
from observatory.emulator.truth import WriteLateness

LATENESS_PATH = "/emulator/lateness"
METRICS_PATH = "/metrics"


def metrics_page(model: str, slots: Slots, *, prompt_tokens: int, cached_tokens: int) -> Reply:
    """Return the page of METRICS_PATH."""
    label = f'{{model_name="{model}"}}'
    lines = ["# observatory-emulator: these figures are of no real engine."]
    for name, kind, help_text, value in (
        ("num_requests_running", "gauge", "Requests in the batch.", slots.running),
        ("num_requests_waiting", "gauge", "Requests that wait for a slot.", slots.waiting),
        ("prompt_tokens", "counter", "Prompt tokens taken in.", prompt_tokens),
        ("generation_tokens", "counter", "Tokens generated.", slots.generated_tokens),
        ("request_success", "counter", "Requests that ended.", slots.ended),
        ("prefix_cache_queries", "counter", "Prompt tokens looked up.", prompt_tokens),
        ("prefix_cache_hits", "counter", "Prompt tokens found.", cached_tokens),
    ):
        sample = f"vllm:{name}_total" if kind == "counter" else f"vllm:{name}"
        lines += [f"# HELP {sample} {help_text}", f"# TYPE {sample} {kind}"]
        lines.append(f"{sample}{label} {float(value)}")
    return Reply(
        200, ("\n".join(lines) + "\n").encode(), media="text/plain; version=0.0.4; charset=utf-8"
    )


def lateness_page(lateness: WriteLateness) -> Reply:
    """Return the page of LATENESS_PATH: JSON, seconds."""
    return Reply(200, msgspec.json.encode(lateness.summary()))
