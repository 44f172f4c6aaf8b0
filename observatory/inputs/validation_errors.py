"""What pydantic found wrong, as lines that a person can act on: file, line, path, value, allowed values.

A value under a key that may hold a secret is never repeated.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.core.targets.identity import NAME
from observatory.core.targets.literal_secrets import ENVIRONMENT_NAME
from observatory.inputs.strict_yaml import Place, YamlDocument

MAX_SHOWN = 20
MORE_LINES = 5
"""Lines that are named of those that have the same error."""
_PRIVATE = frozenset(
    {
        *("headers", "query", "extra_body", "api_key_env", "api_key_file"),
        *("environment", "token_env", "token_file"),
    }
)
_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_NUMBER = re.compile(r"^[-+]?\d+(\.\d+)?$")
_STAGE = re.compile(r"^stage (\d+):")
"""How the scenario's checks over all its stages name the one at fault, from 1."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong: the line, the dotted path ("" for the whole), what, and the fix."""

    line: int
    path: str
    what: str
    fix: str | None = None

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        fix = f" — {self.fix}" if self.fix else ""
        return f"{path}{self.what}{fix}"


def refusal(file: str, field_errors: list[FieldError]) -> BadInput:
    """Return all of them as one error, in the file's order, equal ones as one; MAX_SHOWN are written out."""
    ordered = sorted(field_errors, key=lambda field_error: field_error.line)
    lines_of: dict[tuple[str, str, str | None], list[int]] = {}
    for one in ordered:
        lines_of.setdefault((one.path, one.what, one.fix), []).append(one.line)
    folded = [
        (lines[0], FieldError(lines[0], path, f"{what}{_more_lines(lines)}", fix))
        for (path, what, fix), lines in lines_of.items()
    ]
    if len(folded) == 1:
        return BadInput(str(folded[0][1]), where=f"{file}:{folded[0][0]}")
    shown = [f"{file}:{line}: {field_error}" for line, field_error in folded[:MAX_SHOWN]]
    more = f"\n... and {len(folded) - MAX_SHOWN} more" if len(folded) > MAX_SHOWN else ""
    return BadInput(f"{count_of(len(folded), 'error')}\n" + "\n".join(shown) + more, where=file)


def _more_lines(lines: list[int]) -> str:
    """Return the other lines that have the same error, the first of them by number."""
    others = lines[1:]
    if not others:
        return ""
    named = ", ".join(str(line) for line in others[:MORE_LINES])
    more = f" and {len(others) - MORE_LINES:,} more" if len(others) > MORE_LINES else ""
    return f" (also in line{'s' if len(others) > 1 else ''} {named}{more})"


def field_errors_of(
    error: ValidationError, document: YamlDocument, schema: dict[str, Any]
) -> list[FieldError]:
    """Return pydantic's errors over a document, whose JSON Schema is `schema`."""
    found = []
    for details in error.errors(include_url=False):
        spot = _locate(details["loc"], document, schema)
        if spot is not None:
            found.append(_field_error(details, spot, document))
    return found


def nearest(text: str, known: Iterable[str]) -> str | None:
    """Return the known name that a person most likely meant, if one is near."""
    close = difflib.get_close_matches(text, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """ ", did you mean ...?" where a known name is near, else nothing."""
    near = nearest(text, known)
    return f", did you mean {near!r}?" if near else ""


def dotted(place: Place) -> str:
    """Return a place as people write it: stages[1].rate."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class _Spot:
    """The place of an error in the document, and the schema of its surroundings."""

    place: Place
    around: dict[str, Any]
    here: dict[str, Any]


def _locate(
    loc: tuple[int | str, ...], document: YamlDocument, schema: dict[str, Any]
) -> _Spot | None:
    """Walk an error's loc through schema and document; None where it is of an alternative not meant.

    pydantic puts a union's tag or branch into loc; only the schema distinguishes it from a key.
    """
    definitions = schema.get("$defs", {})
    place: Place = ()
    value = document.value
    here, around = _resolved(schema, definitions), schema
    for part in loc:
        branches = _branches(here)
        if "discriminator" in here:
            here = _resolved({"$ref": here["discriminator"]["mapping"][part]}, definitions)
        elif len(branches) > 1:
            chosen = _branch(branches, str(part), value)
            if chosen is None:
                return None
            here = _resolved(chosen, definitions)
        else:
            around = here = _resolved(branches[0], definitions) if branches else here
            place = (*place, part)
            value = _at(value, part)
            here = _resolved(_child(here, part), definitions)
            continue
        around = here
    return _Spot(place, around, here)


def _at(value: Any, part: int | str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
    return value[part] if inside else None


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]


def _branch(branches: list[dict[str, Any]], label: str, value: Any) -> dict[str, Any] | None:
    """Return the alternative that an error's label names, if the value there is of its shape."""
    wants_mapping = not (label in ("str", "int", "float", "bool") or label.startswith("literal["))
    if wants_mapping != isinstance(value, dict):
        return None
    for branch in branches:
        if ("$ref" in branch or "discriminator" in branch) == wants_mapping:
            return branch
    return None


def _child(schema: dict[str, Any], part: int | str) -> dict[str, Any]:
    if isinstance(part, int):
        child: dict[str, Any] = schema.get("items", {})
    else:
        child = schema.get("properties", {}).get(part, {})
    return child


def _field_error(details: ErrorDetails, spot: _Spot, document: YamlDocument) -> FieldError:
    place, what, fix = spot.place, *_wording(details, spot)
    if details["type"] == "union_tag_invalid":
        place = (*place, _tag(details))
    elif details["type"] == "missing":
        return FieldError(document.line_of(place[:-1]), dotted(place), what, fix)
    elif not place and (stage := _STAGE.match(what)):
        place = ("stages", int(stage[1]) - 1)
        return FieldError(document.line_of(place), "", what, fix)
    return FieldError(document.line_of(place), dotted(place), what, fix)


def _wording(details: ErrorDetails, spot: _Spot) -> tuple[str, str | None]:
    """Return the error's text, and the fix."""
    context = details.get("ctx", {})
    value = details["input"]
    shown = _shown(value, spot.place)
    match details["type"]:
        case "extra_forbidden":
            key = str(spot.place[-1])
            allowed = sorted(spot.around.get("properties", {}))
            return (
                f"unknown key {key!r}{did_you_mean(key, allowed)}",
                f"allowed here: {', '.join(allowed)}",
            )
        case "missing":
            description = spot.here.get("description")
            return "is missing", f"add it: {description}" if description else "add it"
        case "union_tag_invalid":
            tag = str(context["tag"])
            allowed = [name.strip("' ") for name in str(context["expected_tags"]).split(",")]
            return (
                f"{tag!r} is not allowed{did_you_mean(tag, allowed)}",
                f"allowed: {', '.join(allowed)}",
            )
        case "union_tag_not_found":
            allowed = sorted(spot.here.get("discriminator", {}).get("mapping", {}))
            return f"{_tag(details)!r} is missing", f"one of {', '.join(allowed)}"
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", str(context["expected"]))
            near = did_you_mean(value, allowed) if isinstance(value, str) else ""
            return f"{shown} is not allowed{near}", f"allowed: {', '.join(allowed)}"
        case "value_error":
            return str(context["error"]), None
        case "too_short":
            return f"needs at least {context['min_length']} entry", None
        case "string_too_short":
            return "is empty", None
        case "string_pattern_mismatch":
            return f"{shown} does not fit", _pattern_fix(str(context["pattern"]))
        case kind:
            wrong = _wrong_type_or_range(kind, context, shown, value)
            return wrong or f"{shown}: {details['msg']}", None


def _wrong_type_or_range(kind: str, context: dict[str, Any], shown: str, value: Any) -> str | None:
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for bound, words in bounds.items():
        if bound in context:
            return f"{shown} is out of range: {words} {context[bound]:g}"
    if value is None:
        return "there is nothing here: give a value or remove the key"
    wanted = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "string_type": "text (put it in quotes)",
        "path_type": "text (a path)",
        "list_type": "a list ([a, b], or lines that start with -)",
        "dict_type": "a mapping (indented lines of key: value)",
        "model_type": "a mapping (indented lines of key: value)",
        "model_attributes_type": "a mapping (indented lines of key: value)",
    }
    if kind not in wanted:
        return None
    quoted = isinstance(value, str) and kind in ("int_type", "float_type") and _NUMBER.match(value)
    return f"{shown} is not {wanted[kind]}{': remove the quotes' if quoted else ''}"


def _pattern_fix(pattern: str) -> str:
    if pattern == NAME:
        return "lower-case letters, digits, dot, dash and underscore; 64 at most"
    if pattern == ENVIRONMENT_NAME:
        return "give the name of an environment variable, never the key itself"
    if pattern.startswith("^https?"):
        return "begin it with http:// or https://"
    return f"it must match {pattern}"


def _tag(details: ErrorDetails) -> str:
    return str(details["ctx"]["discriminator"]).strip("'")


def _shown(value: Any, place: Place) -> str:
    """Return a scalar as it was written, cut; the kind of thing where it is a mapping, a list or private."""
    if _PRIVATE.intersection(part for part in place if isinstance(part, str)):
        return "the value"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    masked = _CREDENTIALS.sub("//***@", value)
    return repr(masked if len(masked) <= 60 else masked[:57] + "...")
