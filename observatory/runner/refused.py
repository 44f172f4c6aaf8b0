"""The message for a stage whose requests were all refused alike: the service's words, and the fix."""

import re
from collections.abc import Iterable, Iterator, Sequence

from observatory.core.counted_nouns import count_of
from observatory.core.record import WorkerEnd
from observatory.core.run import REFUSED_ALIKE
from observatory.core.stage_counts import EMPTY_ALIKE
from observatory.wires.failures.other_apis import CHATS, MESSAGES, RESPONSES

_FIELDS = (
    (r"temperature", "set workload.sampling.temperature to null, or to what the model takes"),
    (r"top_p", "leave workload.sampling.top_p out"),
    (r"seed", "leave workload.sampling.seed out"),
    (r"stop", "leave workload.sampling.stop out"),
    (
        r"max_completion_tokens",
        "set the target's max_tokens_field to max_tokens, or lower max_tokens",
    ),
    (
        r"max_tokens",
        "set the target's max_tokens_field to max_completion_tokens, or lower max_tokens",
    ),
    (r"stream_options|include_usage", "set the target's stream_usage to false"),
    (r"ignore_eos", "set workload.ignore_eos to false"),
    (r"reasoning_effort|thinking", "leave workload.reasoning_effort out"),
    (r"stream", "set workload.stream to false"),
)
"""Fields that a refusal may name, and what leaves them out. The one at fault is named first: "'max_tokens' is not
supported, use 'max_completion_tokens'"."""
_PHRASES = (
    (
        r"context (?:length|window|size)|too long|too many tokens(?!, please wait)",
        "use shorter prompts, or lower max_tokens",
    ),
    (r"content management|content filter|safety", "use other prompts: these are not let through"),
    (r"model", "name a model that it serves: `observatory target check` lists them"),
)
"""What is wrong where no field is named; the first that fits. All are regular expressions."""
_STATUSES = {
    400: "correct what its words name",
    401: "check the key that the target names (api_key_env)",
    402: "the account has no credit left: pay, or use another key",
    403: "check what the key is allowed to use",
    404: "check the base URL, which usually ends in /v1, and the model's name",
    405: "check the base URL, which usually ends in /v1",
    413: "use shorter prompts",
    415: "check that the base URL is an OpenAI-compatible API's",
}

_WIRES = {CHATS: "openai", RESPONSES: "responses", MESSAGES: "messages"}
_FEWEST_INSIDE = 5
"""Errors inside a 200 and empty answers may be of single requests: fewer of them end no run."""


def refused_alike(ends: Sequence[WorkerEnd]) -> str | None:
    """Return the reason of a stage that ended because all was refused alike, or in which nothing else came.

    None where any answer was of another sort, or where none came at all.
    """
    stopped = any(end.detail == REFUSED_ALIKE for end in ends)
    heard = [end for end in ends if end.recorded and (end.alike or not stopped)]
    alike = {end.alike for end in heard}
    if not heard or len(alike) != 1 or 0 in alike:
        return None
    if any(end.reason in ("crashed", "interrupted") for end in heard) and not stopped:
        return None
    words = next((end.refusal for end in heard if end.refusal), "without a word")
    count = sum(end.refused for end in heard)
    if count < _FEWEST_INSIDE and (min(alike) < 0 or EMPTY_ALIKE in alike):
        return None
    paid = (
        ", and they used up the budget" if any(e.reason == "budget_reached" for e in heard) else ""
    )
    which = (
        "the only request was refused" if count == 1 else f"all {count} requests were refused alike"
    )
    return (
        f"{REFUSED_ALIKE}: {which}{paid}: {words} — {fix_of(alike.pop(), words)}; "
        "stop_on_refusals: false measures nevertheless"
    )


def fix_of(alike: int, words: str) -> str:
    """Return what a person can do about a refusal; alike is its status, or load.refusals.likeness of another answer."""
    if alike == EMPTY_ALIKE:
        return (
            "look at the server's own log: its answers have a status of success and nothing in them"
        )
    if 0 <= alike < 300:
        for api, wire in _WIRES.items():
            if f"is one of {api}" in words:
                return f"set the target's wire to {wire}"
        if "is one of " in words:
            return "give the base URL of its OpenAI-compatible API, which usually ends in /v1"
        return "look at what answers at that address: it speaks no HTTP or no API (a proxy, a login page)"
    if 300 <= alike < 400:
        return "use the address that it redirects to; no redirect is followed"
    if alike < 0 or alike in (400, 404, 422):
        found = [(hit.start(), fix) for fix, hit in _hits(_FIELDS, words)]
        if found:
            return min(found, key=lambda each: each[0])[1]
        for fix, _ in _hits(_PHRASES, words):
            return fix
    return _STATUSES.get(alike, "correct what its words name")


def refusals_paid(ends: Sequence[WorkerEnd]) -> str:
    """Return what is added to the reason of a spent budget where refusals took part of it."""
    count = sum(end.refused for end in ends)
    if not count:
        return ""
    words = next((end.refusal for end in ends if end.refusal), None)
    first = f"; the first: {words}" if words else ""
    requests = count_of(sum(end.recorded for end in ends), "request")
    return f"; {count} of the {requests} {'was' if count == 1 else 'were'} refused{first}"


def _hits(table: Iterable[tuple[str, str]], words: str) -> Iterator[tuple[str, re.Match[str]]]:
    for pattern, fix in table:
        hit = re.search(rf"\b(?:{pattern})", words, re.IGNORECASE)
        if hit is not None:
            yield fix, hit
