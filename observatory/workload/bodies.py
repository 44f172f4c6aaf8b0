"""Convert a prompt to a plan item: the request's body under a workload's settings, its hashes, its estimates.

Pure. A cold body opens with the nonce's sentinel; prompt_id and sha256 are of the body without it.
"""

import hashlib
from typing import Any

import msgspec

from observatory.core.errors import BadInput
from observatory.core.plan import NONCE_LENGTH, NONCE_SENTINEL, PlanItem
from observatory.core.scenario import SyntheticWorkload, Workload
from observatory.workload.prompt_items import DEFAULT_MAX_TOKENS, PromptItem

_BYTES_PER_TOKEN = 3
"""English prose has about 4, code 3.5, most else 2 to 4 (docs/workloads.md): an estimate on the
high side. Where a true upper bound is needed, it is the body's length in bytes."""
_TEMPLATE_TOKENS = 8
"""What a chat template adds beyond the messages' own keys and roles, about."""


def plan_item(prompt_item: PromptItem, workload: Workload) -> PlanItem:
    """Return the prompt's item; raise BadInput (with its file and line) where the two do not fit."""
    max_tokens = workload.max_tokens or prompt_item.max_tokens or DEFAULT_MAX_TOKENS
    body = {
        **_question(prompt_item, workload),
        "max_tokens": max_tokens,
        **_settings(prompt_item, workload),
    }
    encoded = msgspec.json.encode(body, order="deterministic")
    if msgspec.json.encode(NONCE_SENTINEL)[1:-1] in encoded:
        raise BadInput("the text has the nonce's control characters in it", where=prompt_item.where)
    cold = workload.cache == "cold"
    return PlanItem(
        prompt_id=prompt_item.prompt_id,
        sha256=hashlib.sha256(encoded).hexdigest(),
        body=_with_nonce(body) if cold else body,
        max_tokens=max_tokens,
        prompt_tokens_estimate=_estimate(prompt_item, body) + (NONCE_LENGTH if cold else 0),
        task=prompt_item.task,
        expected=prompt_item.expected,
        scorer=prompt_item.scorer,
        labels=prompt_item.labels,
        sensitive=prompt_item.sensitive,
    )


def _question(prompt_item: PromptItem, workload: Workload) -> dict[str, Any]:
    system = workload.system if workload.system is not None else prompt_item.system
    if workload.request == "completions":
        return {"prompt": _plain_prompt(prompt_item, system)}
    if prompt_item.messages is None:
        opening = [{"role": "system", "content": system}] if system is not None else []
        return {"messages": [*opening, {"role": "user", "content": prompt_item.prompt}]}
    if system is not None and prompt_item.messages[0]["role"] in ("system", "developer"):
        raise BadInput(
            "the messages open with a system message and workload.system is set too",
            where=prompt_item.where,
            fix="remove one of the two",
        )
    opening = [{"role": "system", "content": system}] if system is not None else []
    return {"messages": [*opening, *prompt_item.messages]}


def _plain_prompt(prompt_item: PromptItem, system: str | None) -> str:
    """Return the prompt of a completions request, which has no roles: the system text precedes it."""
    if prompt_item.prompt is None:
        raise BadInput(
            "messages cannot be sent as a completions request: only the server knows the template",
            where=prompt_item.where,
            fix="write a prompt, or set workload.request to chat",
        )
    if prompt_item.tools is not None:
        raise BadInput(
            "tools cannot be sent as a completions request",
            where=prompt_item.where,
            fix="set workload.request to chat",
        )
    return prompt_item.prompt if system is None else f"{system}\n\n{prompt_item.prompt}"


def _settings(prompt_item: PromptItem, workload: Workload) -> dict[str, Any]:
    """Return the body's fields other than the prompt; an unset field is not sent."""
    sampling = workload.sampling
    settings = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": sampling.stop,
        "tools": prompt_item.tools,
        "reasoning_effort": workload.reasoning_effort,
        "ignore_eos": (isinstance(workload, SyntheticWorkload) and workload.ignore_eos) or None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _with_nonce(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body whose prompt or first message opens with the sentinel, on a line of its own."""
    if "prompt" in body:
        return {**body, "prompt": f"{NONCE_SENTINEL}\n{body['prompt']}"}
    first, *rest = body["messages"]
    content = first["content"]
    if isinstance(content, list):
        opened: Any = [{"type": "text", "text": f"{NONCE_SENTINEL}\n"}, *content]
    else:
        opened = f"{NONCE_SENTINEL}\n{content}"
    return {**body, "messages": [{**first, "content": opened}, *rest]}


def _estimate(prompt_item: PromptItem, body: dict[str, Any]) -> int:
    """Estimate the prompt tokens, template included: near for synthetic text, else on the high side."""
    rest = _bytes(body.get("messages") or body["prompt"]) + _bytes(prompt_item.tools)
    if prompt_item.prompt_tokens is None:
        return -(-rest // _BYTES_PER_TOKEN) + _TEMPLATE_TOKENS
    rest -= _bytes(prompt_item.prompt)
    return prompt_item.prompt_tokens - (-rest // _BYTES_PER_TOKEN) + _TEMPLATE_TOKENS


def _bytes(value: Any) -> int:
    """Return bytes of all text in a JSON value, keys included."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return sum(_bytes(key) + _bytes(part) for key, part in value.items())
    return sum(map(_bytes, value)) if isinstance(value, list) else 0
