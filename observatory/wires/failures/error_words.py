"""Finds the error in a body, however it is nested, and puts it into words. Pure.

An error comes as OpenAI's object, as FastAPI's `detail`, in an array (Gemini), as an event of a
stream, as JSON within a string (gateways), or as plain text.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from observatory.wires.streams.sse import split_events

_MESSAGES = (
    "message",
    "msg",
    "error",
    "detail",
    "details",
    "error_message",
    "error_msg",
    "status_msg",
    "errors",
    "description",
    "reason",
)
_LABELS = ("code", "type", "status")
_FIELDS = ("param", "field", "loc")
"""What names the field of the request that is at fault: OpenAI's, Google's and others', FastAPI's."""
_CAUSES = ("errors", "details")
"""What has the single faults next to a message about all of them (Cloudflare, Google)."""
_DEEPEST = 6
_SHOWN = 3
"""Errors of a list that are put into words."""
_MOST_READ = 64 * 1024
"""Bytes of an error's body that are looked into."""
_FILTERED = re.compile(
    r"content_?filter|content_?policy|responsible_?ai_?policy|moderation|guardrail|safety"
    r"|data_?inspection_?failed|prohibited_?content"
)


def error_in(body: bytes) -> object:
    """Return the error in a body that is one, JSON or an event stream; None where it holds no JSON."""
    data = body[:_MOST_READ].strip()
    if data.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return next((found for event in split_events(data) if (found := parsed(event[0]))), None)
    return parsed(data)


def parsed(data: bytes) -> object:
    """Return the JSON document; None of anything else."""
    if not data.startswith((b"{", b"[")):
        return None
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def words_of(error: object) -> str:
    """Return an error in words: its message with the field at fault, its code or type, and the causes next to it."""
    message, label = _found(error, 0)
    if not message:
        message = (
            error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str)
        )
    message = " ".join(message.split())
    causes = " ".join("; ".join(_new_causes(error, message)).split())
    labelled = f"{message} ({label})" if label and label not in message else message
    return f"{labelled}: {causes}" if causes else labelled


def _found(error: object, depth: int) -> tuple[str, str]:
    """Return the innermost message and the label next to it; empty where there is none."""
    if depth > _DEEPEST:
        return "", ""
    if isinstance(error, str):
        inner = _found(parsed(error.strip().encode("utf-8", "replace")), depth + 1)
        return inner if inner[0] else (error, "")
    if isinstance(error, list):
        found = [text for one in error[:_SHOWN] if (text := _found(one, depth + 1))[0]]
        return "; ".join(text for text, _ in found), found[0][1] if found else ""
    if not isinstance(error, dict):
        return "", ""
    for name in _MESSAGES:
        if error.get(name):
            message, label = _found(error[name], depth + 1)
            if message:
                return _with_field(error, message), label or _label(error)
    return "", ""


def _with_field(error: dict[str, Any], message: str) -> str:
    """Return the message with the field that an error names next to it, unless it names the field itself."""
    for name in _FIELDS:
        value = error.get(name)
        if isinstance(value, list) and value and all(isinstance(one, str | int) for one in value):
            value = ".".join(map(str, value))
        if isinstance(value, str) and value:
            return message if value in message else f"{value}: {message}"
    return message


def _new_causes(error: object, message: str) -> list[str]:
    """Return the causes that an error names and its message does not have."""
    found = dict.fromkeys(_causes(error, 0))
    return [cause for cause in found if cause and cause not in message][:_SHOWN]


def _causes(error: object, depth: int) -> Iterator[str]:
    """Yield the causes next to each message of an error, and what OpenRouter's provider answered (`metadata.raw`)."""
    if depth > _DEEPEST or not isinstance(error, dict):
        return
    if any(isinstance(error.get(name), str) and error[name] for name in _MESSAGES):
        for name in _CAUSES:
            for one in _listed(error.get(name)):
                if isinstance(one, dict):
                    yield _found(one, depth + 1)[0] or "; ".join(_causes_alone(one, depth + 1))
        metadata = error.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None
        if isinstance(raw, str | dict):
            yield _found(raw, depth + 1)[0]
    for name in ("error", "detail"):
        yield from _causes(error.get(name), depth + 1)


def _causes_alone(error: dict[str, Any], depth: int) -> Iterator[str]:
    """Yield the faults in one of several causes: Google's BadRequest has them as fieldViolations."""
    for one in _listed(error.get("fieldViolations")):
        yield _found(one, depth + 1)[0]


def _listed(value: object) -> list[Any]:
    return value[:_SHOWN] if isinstance(value, list) else []


def _label(error: dict[str, Any]) -> str:
    labels = (error.get(name) for name in _LABELS)
    return next((str(one) for one in labels if one and isinstance(one, str | int)), "")


def is_filter(error: object) -> bool:
    """Return whether an error is a content filter's, by its codes and types."""
    return bool(_FILTERED.search(" ".join(_codes(error, 0))))


def _codes(error: object, depth: int) -> list[str]:
    """Return every code, type and status of an error and of what is in it, in lower case and snake case."""
    if depth > _DEEPEST:
        return []
    if isinstance(error, list):
        return [code for one in error[:_SHOWN] for code in _codes(one, depth + 1)]
    if isinstance(error, str) and error.strip()[:1] in ("{", "["):
        return _codes(parsed(error.strip().encode("utf-8", "replace")), depth + 1)
    if not isinstance(error, dict):
        return []
    own = [_snake(str(error[name])) for name in _LABELS if isinstance(error.get(name), str | int)]
    inside = (error.get(name) for name in ("error", "innererror", "detail", "message"))
    return own + [code for one in inside if one for code in _codes(one, depth + 1)]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_")
