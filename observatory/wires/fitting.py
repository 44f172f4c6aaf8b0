"""What of a JSON value fits a typed struct: the slow way through an answer with odd types in it. Pure."""

import json
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar, get_args, get_origin

import msgspec

Fitted = TypeVar("Fitted", bound=msgspec.Struct)
_DIGITS = 12


def read_fitting(data: bytes, decode: Any, kind: type[Fitted]) -> Fitted | None:
    """Return the struct in `data`, by its typed decoder where that takes it; None where it is no JSON object.

    Fields of another type than the struct's are dropped; invalid UTF-8 becomes U+FFFD; half a
    surrogate pair stays, for its other half may be in the next event.
    """
    try:
        return decode(data)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        pass
    try:
        value = json.loads(data.decode("utf-8", "replace"))
        if not isinstance(value, dict):
            return None
        return msgspec.convert(fitted(value, kind), kind)
    except (ValueError, RecursionError):
        return None


def is_count(text: str) -> bool:
    """Return whether text is a whole number as JSON has it, of no more digits than a count of tokens."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


def fitted(value: Any, kind: Any) -> Any:
    """Return the part of `value` that converts to `kind`; None where there is none."""
    if kind is Any:
        return value
    struct = _struct_in(kind)
    if isinstance(value, dict) and struct is not None:
        hints = typing.get_type_hints(struct)
        kept = {
            name: fitted(value[name], hints[name])
            for name in struct.__struct_fields__
            if name in value
        }
        return {name: part for name, part in kept.items() if part is not None}
    if isinstance(value, list) and (inside := _listed_in(kind)) is not None:
        parts = [fitted(part, inside) for part in value]
        return [part for part in parts if part is not None]
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a count written as 12.0
    if isinstance(value, str) and int in _alternatives(kind) and is_count(value):
        value = int(value)
    try:
        return msgspec.to_builtins(msgspec.convert(value, kind))
    except (ValueError, RecursionError):
        return None


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (types.UnionType, typing.Union) else (kind,)


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    for one in _alternatives(kind):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one
    return None


def _listed_in(kind: Any) -> Any:
    for one in _alternatives(kind):
        if get_origin(one) in (list, Sequence):
            return get_args(one)[0]
    return None
