"""Which finish reasons mean that an answer did not end well. Pure.

Known good names come first, then the words of a filter, then those of a failure. Any other name ends an
answer well and is counted as odd: servers have their own names, and a healthy server must not fail for one.
"""

import re
from typing import Literal

from observatory.wires.failures.failures import spelt

BadEnd = Literal["failed", "filtered"]
End = Literal["good", "unknown", "failed", "filtered"]

_USUAL = frozenset({"stop", "length", "tool_calls", "end_turn"})
_GOOD = re.compile(
    # OpenAI, Anthropic, Gemini, Cohere, Bedrock, TGI, TensorRT-LLM, watsonx, llama.cpp, Mistral, xAI.
    r"(?:stop|stopped|stop_(?:sequence|word|string|str|token|limit|eos)s?(?:_.*)?|stopped_(?:eos|word|limit)"
    r"|length|(?:max|maximum|model)_(?:new_|output_|completion_|model_)?(?:tokens?|length|len|context|turns)"
    r"|tokens?_limit|context_length|max_context_length|(?:model_)?context_(?:window|length)_exceeded"
    r"|tool_(?:calls?|use)|max_tool_calls|function_calls?|end_turn|pause_turn|compaction"
    r"|eos|eot|eos_(?:token|id)|end|end_id|end_of_(?:text|turn|sequence)|endoftext"
    r"|done|complete|completed|finish|finished|normal|success|repetition"
    r"|(?:length_|output_)?limit)(?:_reached|_exceeded|_hit)?"
)
_FILTERED = re.compile(
    # OpenAI, Azure, Mistral and OpenRouter (content_filter), Anthropic (refusal: a classifier refused, not
    # the model), Gemini (SAFETY, BLOCKLIST, RECITATION, SPII, MODEL_ARMOR, IMAGE_...), Bedrock
    # (guardrail_intervened), Zhipu (sensitive), Cohere (ERROR_TOXIC), Alibaba (data_inspection_failed).
    r"content_?filter|(?:^|_)filter(?:ed)?(?:_|$)|content_policy|policy_violation|moderat|safety|unsafe"
    r"|prohibit|block_?list|(?:^|_)blocked|recitation|guard|armou?r|(?:^|_)sensitive|spii|(?:^|_)pii(?:_|$)"
    r"|toxic|censor|jailbreak|harm(?:ful)?(?:_|$)|profan|inspection|(?:^|_)refusal(?:_|$)|flagged"
)
_FAILED = re.compile(
    # vLLM (abort, error), SGLang (abort), TensorRT-LLM (cancelled, timed_out, not_finished), OpenRouter,
    # Mistral and Cohere (error), DeepSeek (insufficient_system_resource), Zhipu (network_error), Gemini
    # (MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, MISSING_THOUGHT_SIGNATURE), Bedrock (malformed_tool_use).
    r"error|exception|fail|abort|cancel|over_?load|rate_?limit|too_many_requests|preempt|malformed|unexpected"
    r"|time_?out|timed_out|time_limit|deadline|crash|out_of_memory|(?:^|_)oom(?:_|$)|unavailable|insufficient"
    r"|interrupt|evict|exhaust|throttl|disconnect|kill(?:ed)?(?:_|$)|shut_?down|not_finished|unfinished"
    r"|invalid|missing|reject|corrupt|dropped|(?:^|_)lost(?:_|$)|stalled|expired|quota|panic"
    # Ollama: a model was loaded or unloaded, and nothing was generated.
    r"|^(?:un)?load$"
)
_PREFIX = re.compile(r"^(?:\w*_)?reason_(?=.)")
_LONGEST = 300


def end_of(reason: str) -> End:
    """Return how an answer with this finish reason ended. Case does not matter, nor do signs between words, nor the
    name of an enum before it (`FinishReason.SAFETY`)."""
    if reason in _USUAL:
        return "good"
    name = _PREFIX.sub("", spelt(reason[:_LONGEST]))
    if _GOOD.fullmatch(name):
        return "good"
    if _FILTERED.search(name):
        return "filtered"
    return "failed" if _FAILED.search(name) else "unknown"


def bad_end(reason: str) -> BadEnd | None:
    """Return how badly an answer with this finish reason ended; None: well."""
    end = end_of(reason)
    return end if end in ("failed", "filtered") else None
