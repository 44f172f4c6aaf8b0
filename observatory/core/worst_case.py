"""The most tokens that a request can take in: what caps hold for it and quotes call high. Pure.

A token of text is at least one byte of it, so that a body's bytes bound its own text; what a service
adds unseen has an allowance, because nothing bounds it.
"""

from typing import Any

import msgspec

from observatory.core.plan import NONCE_LENGTH, PlanItem

TEMPLATE_TOKENS = 256
"""Chat templates and gateways put words of their own around a prompt: Llama 3.1's opens with the date
in some 25 tokens, Qwen 2.5's with a system message of some 20, and each message costs a few, which its
own JSON already pays for. Ten times the longest of these is left for what we do not know."""
TOOL_TOKENS = 1024
"""Tools come with instructions of the service's own. Anthropic's page states up to 530 tokens, for Claude 3
Opus (docs.anthropic.com/en/docs/tool-use-pricing-and-tokens); about twice that is left, for models of
which we know nothing."""
MEDIA_TOKENS = 50_000
"""Of each part that is no text: an allowance of our own, which no provider states. A picture, a file or a
sound that costs more is not bounded by this."""
BODY_BYTES = 256
"""Model, stream options and what else a target adds to an item's body, before it is rendered."""
_TEXTS = ("text", "refusal")


def unseen_tokens(body: dict[str, Any]) -> int:
    """Return the allowance for what the bytes of a request's body do not show."""
    parts = sum(
        part.get("type") not in _TEXTS
        for message in body.get("messages") or ()
        if isinstance(content := message.get("content"), list)
        for part in content
        if isinstance(part, dict)
    )
    return TEMPLATE_TOKENS + (TOOL_TOKENS if body.get("tools") else 0) + MEDIA_TOKENS * parts


def prompt_tokens_at_most(item: PlanItem) -> int:
    """Return the most prompt tokens of an item, before it is rendered for a target."""
    size = len(msgspec.json.encode(item.body)) + NONCE_LENGTH + BODY_BYTES
    return size + unseen_tokens(item.body)
