"""Find the counts of an answer whose usage has none, under the names of other APIs. Pure.

Looked for only where a whole answer was read without an output count, in its last events.
Sources: ai.google.dev/api/generate-content (usageMetadata), github.com/ollama/ollama/blob/main/docs/api.md
(prompt_eval_count, eval_count), docs.aws.amazon.com/bedrock (invocationMetrics, camelCase usage),
github.com/ggml-org/llama.cpp/tree/master/tools/server (timings).
"""

import json
from collections.abc import Iterator
from typing import Any

from observatory.wires.answer_json import Details, Usage, usage_of
from observatory.wires.fitting import fitted

_TAIL = 65_536
_LAST_EVENTS = 4
"""Of a stream; counts that come earlier, such as message_start's, are not the answer's."""
_NAMES = (b"usage", b"evalcount", b"eval_count", b"predicted_n", b"invocationmetrics")
_ENVELOPES = ("message", "response", "result", "data", "choices", "delta")
"""Fields in which usage is found, besides the event itself."""
_PROMPT = frozenset(
    {"prompttokens", "inputtokens", "prompttokencount", "inputtokencount", "promptevalcount"}
)
_OUTPUT = frozenset(
    {"completiontokens", "outputtokens", "candidatestokencount", "outputtokencount", "evalcount",
     "completiontokencount", "predictedn"}
)  # fmt: skip
_REASONING = frozenset({"reasoningtokens", "thoughtstokencount", "reasoningtokencount"})
_CACHED = frozenset(
    {"cachedtokens", "cachedinputtokens", "cachedcontenttokencount", "cachedprompttokens"}
)
_TOTAL = frozenset({"totaltokens", "totaltokencount"})
_APART = frozenset(
    {"cachereadinputtokens", "cachewriteinputtokens", "cachecreationinputtokens",
     "cachereadinputtokencount", "cachewriteinputtokencount", "tooluseprompttokencount"}
)  # fmt: skip
"""Whether these are in the prompt's count differs: with one of them the prompt is not known."""


def usage_elsewhere(body: bytes, *, stream: bool) -> Usage | None:
    """Return the last counts in a body that state the output; None where no object does.

    prompt_tokens is None where only the output is unambiguous.
    """
    if stream and len(body) > _TAIL:
        body = body[-_TAIL:]
    if not _may_name(body):
        return None
    if not stream:
        return _last(_objects(body))
    events = [line[5:] for line in body.splitlines() if line.startswith(b"data:")]
    events = [data for data in events if data.strip() != b"[DONE]"][-_LAST_EVENTS:]
    for data in reversed(events):
        if _may_name(data) and b"message_start" not in data:
            found = _last(_objects(data))
            if found is not None:
                return found
    return None


def _may_name(data: bytes) -> bool:
    """Return whether one of the objects that hold counts may be in it; cheaper than a pattern without case."""
    lower = data.lower()
    return any(name in lower for name in _NAMES)


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield an event, and what it wraps, outermost first."""
    try:
        value = json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield from _within(value, depth=3)


def _within(value: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    yield value
    if not depth:
        return
    for name in _ENVELOPES:
        inside = value.get(name)
        for one in inside if isinstance(inside, list) else (inside,):
            if isinstance(one, dict):
                yield from _within(one, depth - 1)


def _last(objects: Iterator[dict[str, Any]]) -> Usage | None:
    for value in objects:
        for name, part in value.items():
            if isinstance(part, dict) and _is_usage(name):
                found = _counts(part)
                if found is not None:
                    return found
        if "eval_count" in value or "evalCount" in value:  # Ollama's are in the event itself
            found = _counts(value)
            if found is not None:
                return found
    return None


def _is_usage(name: str) -> bool:
    plain = _plain(name)
    return plain in ("usage", "usagemetadata", "timings") or plain.endswith("invocationmetrics")


def _counts(part: dict[str, Any]) -> Usage | None:
    usage = usage_of(part)
    if usage.completion_tokens is not None or usage.output_tokens is not None:
        return usage
    known: dict[str, int] = {}
    for name, value in part.items():
        count = fitted(value, int)
        if count is not None and count >= 0:
            known.setdefault(_plain(name), count)
    output = _first(known, _OUTPUT)
    reasoning = _first(known, _REASONING)
    if output is None:
        return None
    if "candidatestokencount" in known and reasoning:
        output += reasoning  # Gemini's API counts thoughts apart from the candidates
    prompt = _first(known, _PROMPT)
    if any(known.get(name) for name in _APART):
        prompt = None
    if "predictedn" in known and "cachen" in known and "promptn" in known:
        prompt = known["promptn"] + known["cachen"]  # llama.cpp: processed, and from the cache
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=output,
        total_tokens=_first(known, _TOTAL),
        prompt_tokens_details=Details(cached_tokens=_first(known, _CACHED)),
        completion_tokens_details=Details(reasoning_tokens=reasoning),
    )


def _first(known: dict[str, int], names: frozenset[str]) -> int | None:
    return next((known[name] for name in known if name in names), None)


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
