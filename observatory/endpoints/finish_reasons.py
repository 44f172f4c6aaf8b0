"""Which finish reasons mean that an answer did not end well. Pure.

Any reason that is not listed ends an answer well (`eos`, `stop_sequence`, `tool_calls`): servers
have their own names, and a healthy server must not fail for that.
"""

from typing import Literal

BadEnd = Literal["failed", "filtered"]

_USUAL = frozenset({"stop", "length", "tool_calls", "end_turn"})
_FAILED = frozenset(
    {
        # vLLM (FinishReason: abort, error), SGLang (abort), TensorRT-LLM (cancelled, timeout,
        # not_finished), OpenRouter ("finish_reason": "error"), Mistral (error).
        "abort",
        "aborted",
        "cancel",
        "canceled",
        "cancelled",
        "error",
        "errored",
        "fail",
        "failed",
        "failure",
        "internal_error",
        "not_finished",
        "server_error",
        "time_limit",
        "timeout",
        "timed_out",
        # DeepSeek, "Create chat completion": "the request is interrupted due to insufficient
        # resource of the inference system".
        "insufficient_system_resource",
        # Zhipu, "Chat completion": an exception in the model's inference.
        "network_error",
        # Cohere, "finish_reason".
        "error_limit",
        "user_cancel",
        # Gemini, "FinishReason": no valid function call, no text.
        "malformed_function_call",
    }
)
_FILTERED = frozenset(
    {
        # OpenAI, Azure, Mistral, OpenRouter.
        "content_filter",
        "content-filter",
        "content_filtered",
        "contentfilter",
        # Anthropic, "Handling stop reasons": a classifier refused, not the model.
        "refusal",
        # Gemini, "FinishReason".
        "blocklist",
        "image_safety",
        "prohibited_content",
        "recitation",
        "safety",
        "spii",
        # Bedrock, "Converse"; Zhipu; Cohere.
        "guardrail_intervened",
        "guardrails",
        "sensitive",
        "error_toxic",
    }
)


def bad_end(reason: str) -> BadEnd | None:
    """How badly an answer with this finish reason ended; None: well. Case does not matter, nor does
    the name of an enum before a dot (`FinishReason.SAFETY`)."""
    if reason in _USUAL:
        return None
    name = reason.rpartition(".")[2].strip().lower()
    if name in _FAILED:
        return "failed"
    return "filtered" if name in _FILTERED else None
