"""Recognise a failure that a server states: by the words of a name, and by the form of a JSON object. Pure.

Nothing here reads the text of an answer: names are those of events, fields and types, and only objects
without choices are judged by their shape.
"""

import json
import re
from functools import lru_cache
from typing import Any

_LONGEST_NAME = 200
_DEEPEST = 2

_FAILS = re.compile(
    r"(?:^|_)(?:\w*errors?|\w*exception|fail|failed|failure|failing|abort|aborted|cancel|canceled|cancelled"
    r"|timeout|timed_out|overload|overloaded|unavailable|throttled|rate_limited|rate_limit_exceeded|crash"
    r"|crashed|fatal|panic|rejected|traceback)(?:_|$)"
)
"""Names of events, types and states. `rate_limits` is none: some servers send their limits as an event."""
_OF_A_PART = re.compile(r"(?:^|_)(?:call|tools?|mcp|search|step|function|interpreter)(?:_|$)")
"""A tool's failure is not the answer's."""
_VOID = frozenset(
    {
        "",
        "0",
        "200",
        "ok",
        "success",
        "successful",
        "succeeded",
        "none",
        "null",
        "false",
        "no_error",
    }
)
_STATES = (
    "error", "exception", "traceback", "fault", "failure", "error_msg", "error_message", "err_msg", "errmsg", "errors"
)  # fmt: skip
"""Fields that are only filled where something failed."""
_CODES = ("code", "status", "status_code", "http_status", "http_code", "ret_code", "retcode")
_ERROR_CODES = ("error_code", "err_code", "errcode", "errno", "error_type")
_KINDS = ("type", "object", "event", "status", "state")
_EXPLANATIONS = ("message", "msg", "status_msg", "detail", "reason", "title", "error_description")
_ENVELOPES = (
    "base_resp",
    "response_metadata",
    "header",
    "meta",
    "result",
    "response",
    "data",
    "status",
)
_NOTICE = frozenset({"message", "msg", "id", "request_id", "timestamp"})
_WORDS = re.compile(
    r"(?i)\b(?:\w*error|\w*exception|traceback|failed|failure|aborted|timed out|unavailable|overloaded)\b"
)
_CODE = re.compile(r"[\w.\-]{1,80}")
_SUSPECT = re.compile(
    rb'"(?i:\w*error\w*|err_?\w+|\w*exception|traceback|\w*fault|failure|\w*code|errno|type|event|state'
    rb'|status\w*|http_?status|success|ok|detail|message|msg|base_?resp|response_?metadata)"\s*:'
)
"""A field that any rule below reads. Its absence spares the usual event a second parse."""


def names_failure(name: str) -> bool:
    """Return whether the name of an event, a type or a state is a failure's, in any case and spelling."""
    return _names_failure(name[:_LONGEST_NAME])


@lru_cache(maxsize=256)
def _names_failure(name: str) -> bool:
    words = spelt(name)
    if (words.startswith("response_") and words.count("_") > 1) or _OF_A_PART.search(words):
        return words.endswith("_error")
    return _FAILS.search(words) is not None


def spelt(name: str) -> str:
    """Return a name in lower case, with one underscore between its words."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return re.sub(r"[^a-z0-9]+", "_", apart).strip("_")


def speaks_of_failure(words: str) -> bool:
    """Return whether a text outside any answer is about a failure."""
    return _WORDS.search(words) is not None


def is_void(error: object) -> bool:
    """Return whether what a server sends as its error states that there is none: empty, 0, 200, or success."""
    if isinstance(error, dict):
        return all(map(is_void, error.values()))
    if isinstance(error, list):
        return all(map(is_void, error))
    return str(error if error is not None else "").strip().lower().replace(" ", "_") in _VOID


def failure_in(data: bytes) -> object | None:
    """Return the failure that an object without choices states, None where it states none or is no object."""
    if not _SUSPECT.search(data):
        return None
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return _failure(value, 0) if isinstance(value, dict) else None


def _failure(value: dict[str, Any], depth: int) -> object | None:
    fields = {spelt(name): one for name, one in value.items()}
    for name in _STATES:
        stated = fields.get(name)
        if (name == "error" and stated == {}) or not is_void(stated):
            return stated if name in ("error", "errors") and stated else value
    if (
        fields.get("success") is False
        or fields.get("ok") is False
        or fields.get("is_error") is True
    ):
        return value
    if any(_fails(name, fields) for name in (*_CODES, *_ERROR_CODES)):
        return value
    kinds = [fields[name] for name in _KINDS if isinstance(fields.get(name), str)]
    if any(map(names_failure, kinds)):
        return value
    if not kinds and not is_void(fields.get("detail")):
        return value
    notice = fields.get("message") or fields.get("msg")
    if isinstance(notice, str) and fields.keys() <= _NOTICE and speaks_of_failure(notice):
        return value
    if depth < _DEEPEST:
        inside = (one for name in _ENVELOPES if isinstance(one := fields.get(name), dict))
        return next((found for one in inside if (found := _failure(one, depth + 1))), None)
    return None


def _fails(name: str, fields: dict[str, Any]) -> bool:
    """Return whether a code is a failure's: an HTTP status from 400 on, any error code, another with a message."""
    code = fields.get(name)
    if isinstance(code, bool) or not isinstance(code, int | str) or is_void(code):
        return False
    if name in _ERROR_CODES:
        return True
    explained = any(not is_void(fields.get(one)) for one in _EXPLANATIONS)
    try:
        number = int(code)
    except ValueError:
        return name == "code" and explained and _CODE.fullmatch(str(code)) is not None
    return 400 <= number < 600 or ((number < 0 or number >= 600) and explained)
