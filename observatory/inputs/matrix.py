"""Expand a matrix: make cells into targets and order their runs. Pure; names are resolved before.

Every cell is checked as a target written by hand would be, and an error in a level is reported
with the level's line.
"""

import hashlib
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from observatory.core.matrices.design import Cell, CellGroup, Design
from observatory.core.matrices.matrix import Matrix, same_level_in
from observatory.core.targets.catalogue import Target
from observatory.inputs.confounding import confounding
from observatory.inputs.strict_yaml import Place, YamlDocument
from observatory.inputs.validation_errors import FieldError, dotted, field_errors_of, refusal

NAME_LENGTH = 64
_TARGET: TypeAdapter[Target] = TypeAdapter(Target)
_NO_FACTOR = frozenset(
    {
        *("name", "kind", "license", "tokenizer", "rate", "price", "hosting", "weights", "billing"),
        *("headers", "query", "ca_bundle", "client_certificate", "client_key", "api_key_env"),
        *("api_key_file", "port", "start_timeout", "timeouts", "served_model_name"),
    }
)
"""Fields in which two targets may differ without measuring differently."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A cell before it is built: the target it starts from, what is set in it, and the place in the file."""

    target: Target
    levels: dict[str, Any]
    places: dict[str, Place]
    place: Place
    name: str | None = None
    factors: dict[str, str] = field(default_factory=dict)


Settle = Callable[[Target, str], Target]
"""Makes a target's relative paths and profile names absolute; the text is file and line."""


def design_of(
    matrix: Matrix, settings: list[Setting], seed: int, document: YamlDocument, settle: Settle
) -> Design:
    """Return the design of a matrix; raise BadInput with the line of each impossible level."""
    targets = _targets(settings, document, settle)
    if matrix.vary:
        factors: list[dict[str, Any]] = [dict(setting.levels) for setting in settings]
    else:
        factors = _factors(settings, targets)
    cells = tuple(
        Cell(place, target, levels)
        for place, (target, levels) in enumerate(zip(targets, factors, strict=True))
    )
    return Design(
        cells=cells,
        turns=tuple(
            turns_of(
                len(cells),
                matrix.repeats,
                seed if matrix.order == "randomised" else None,
                together=matrix.together,
            )
        ),
        repeats=matrix.repeats,
        order=matrix.order,
        together=matrix.together,
        confounded=tuple(confounding(factors)),
    )


def turns_of(cells: int, repeats: int, seed: int | None, *, together: bool) -> Iterator[CellGroup]:
    """Yield blocks, each with every cell once, in an order of its own drawn from the seed (None: as written).

    This is a randomised complete block design: what drifts over hours falls on whole blocks.
    """
    for block in range(repeats):
        order = list(range(cells))
        if seed is not None:
            random.Random(f"matrix/{seed}/{block}").shuffle(order)
        if together:
            yield CellGroup(block, tuple(order))
        else:
            yield from (CellGroup(block, (cell,)) for cell in order)


def combinations_of(matrix: Matrix, base: Target) -> list[Setting]:
    """Return every combination of the levels, the last field turning fastest, less those excluded."""
    settings = []
    for chosen in itertools.product(*(range(len(levels)) for levels in matrix.vary.values())):
        places: dict[str, Place] = {
            name: ("matrix", "vary", name, at) for name, at in zip(matrix.vary, chosen, strict=True)
        }
        levels = {name: matrix.vary[name][at] for name, at in zip(matrix.vary, chosen, strict=True)}
        if not any(_matches(levels, excluded) for excluded in matrix.exclude):
            settings.append(Setting(base, levels, places, ("matrix", "vary")))
    return settings


def _matches(levels: Mapping[str, Any], excluded: Mapping[str, Any]) -> bool:
    return all(same_level_in(levels[name], [level]) for name, level in excluded.items())


def _targets(settings: list[Setting], document: YamlDocument, settle: Settle) -> list[Target]:
    """Return a target for each; raise BadInput with the errors of all of them at once."""
    field_errors: dict[str, FieldError] = {}
    targets: list[Target] = []

    def note(*found: FieldError) -> None:
        for field_error in found:
            field_errors.setdefault(str(field_error), field_error)

    for setting, name in zip(settings, _names(settings), strict=True):
        line = document.line_of(setting.place)
        try:
            data = _data(setting, name)
            target = _TARGET.validate_json(json.dumps(data), strict=True)
            targets.append(settle(target, f"{document.name}:{line}"))
        except ValidationError as error:
            note(*_translated(error, data, setting, document))
        except _NoMapping as error:
            place = setting.places[error.field]
            note(FieldError(document.line_of(place), dotted(place), str(error)))
    if not field_errors:
        note(*_same(settings, targets, document), *_twice(settings, targets, document))
    if len(settings) < 2:
        line = document.line_of(("matrix", "exclude"))
        note(FieldError(line, "matrix", "one cell is left, or none: nothing to compare"))
    if field_errors:
        raise refusal(document.name, list(field_errors.values()))
    return targets


class _NoMapping(Exception):
    def __init__(self, name: str, above: str) -> None:
        self.field = name
        super().__init__(f"{above} of this target holds no fields of its own")


def _data(setting: Setting, name: str) -> dict[str, Any]:
    """Return the target's fields as a file would have them, with the levels in their places."""
    data: dict[str, Any] = setting.target.model_dump(mode="json")
    for path, level in setting.levels.items():
        *above, last = path.split(".")
        inner = data
        for part in above:
            if inner.get(part) is None:
                inner[part] = {}
            inner = inner[part]
            if not isinstance(inner, dict):
                raise _NoMapping(path, ".".join(above))
        inner[last] = level
    data["name"] = name
    return data


def _names(settings: list[Setting]) -> list[str]:
    """Return each cell's name: as written, else made; fields by their initials for all or none.

    A path or an address is shortened to its last part, for all or none: not where two have the same.
    """

    def made(in_full: bool) -> list[str]:
        long = [
            ".".join(_parts(each.target.name, each.levels, shorten=False, in_full=in_full))
            for each in settings
        ]
        shorten = any(len(name) > NAME_LENGTH for name in long)
        return [
            setting.name
            or cell_name(setting.target.name, setting.levels, shorten=shorten, in_full=in_full)
            for setting in settings
        ]

    short = made(in_full=False)
    return short if len(set(short)) == len(short) else made(in_full=True)


def cell_name(
    target: str, levels: Mapping[str, Any], *, shorten: bool = False, in_full: bool = False
) -> str:
    """Return a name for rows and pages: the target's, then each level; lower case, 64 characters at most.

    Where it is too long even with fields by their initials, a hash replaces the rest.
    """
    name = ".".join(_parts(target, levels, shorten=shorten, in_full=in_full))
    if len(name) <= NAME_LENGTH:
        return name
    encoded = json.dumps(dict(levels), sort_keys=True).encode()
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{name[: NAME_LENGTH - 9].rstrip('.-_')}-{digest}"


def _parts(target: str, levels: Mapping[str, Any], *, shorten: bool, in_full: bool) -> list[str]:
    slugs = [_slug(name, level, shorten, in_full) for name, level in levels.items()]
    return [target, *(slug for slug in slugs if slug)]


def _slug(name: str, level: Any, shorten: bool, in_full: bool) -> str:
    leaf = re.sub(r"[^a-z0-9]+", "-", name.rsplit(".", 1)[-1].lower()).strip("-")
    if shorten:
        leaf = "".join(word[0] for word in leaf.split("-") if word)
    if isinstance(level, str):
        shown = level if in_full else level.rsplit("/", 1)[-1]
        value = re.sub(r"[^a-z0-9._-]+", "-", shown.lower()).strip("-._")
        return value if value[:1].isalpha() else f"{leaf}-{value}".strip("-")
    if isinstance(level, bool):
        return leaf if level else f"no-{leaf}"
    if level is None:
        return f"{leaf}-default"
    if isinstance(level, list | dict):
        written = json.dumps(level, sort_keys=True).encode()
        return f"{leaf}-{hashlib.sha256(written).hexdigest()[:6]}"
    return f"{leaf}-{str(level).lower().replace('+', '')}"


def _translated(
    error: ValidationError, data: dict[str, Any], setting: Setting, document: YamlDocument
) -> Iterator[FieldError]:
    """Yield pydantic's errors over a cell's fields, at the places of the levels that caused them."""
    made = YamlDocument(document.name, data, {})
    for found in field_errors_of(error, made, _TARGET.json_schema()):
        place = setting.place
        for name, where in setting.places.items():
            if _overlap(found.path, name):
                place = where
        path = dotted(place) + (f" ({found.path})" if found.path not in setting.places else "")
        yield FieldError(document.line_of(place), path.removesuffix(" ()"), found.what, found.fix)


def _overlap(path: str, name: str) -> bool:
    """Return whether an error at `path` ("": the whole) may come from the level of field `name`."""
    return (
        not path or f"{path}.".startswith((f"{name}.", f"{name}[")) or name.startswith(f"{path}.")
    )


def _same(
    settings: list[Setting], targets: list[Target], document: YamlDocument
) -> Iterator[FieldError]:
    """Cells that are the same target by another name measure nothing twice."""
    seen: dict[str, int] = {}
    for place, target in enumerate(targets):
        key = json.dumps(target.model_dump(mode="json", exclude={"name"}), sort_keys=True)
        if key in seen and settings[place].factors == settings[seen[key]].factors:
            other = seen[key]
            level = next(
                (
                    settings[place].places[name]
                    for name, level in settings[place].levels.items()
                    if not same_level_in(level, [settings[other].levels.get(name)])
                ),
                settings[place].place,
            )
            yield FieldError(
                document.line_of(level),
                dotted(level),
                f"changes nothing: {target.name} is {targets[other].name} by another name",
            )
        seen.setdefault(key, place)


def _twice(
    settings: list[Setting], targets: list[Target], document: YamlDocument
) -> Iterator[FieldError]:
    names: set[str] = set()
    for setting, target in zip(settings, targets, strict=True):
        if target.name in names:
            yield FieldError(
                document.line_of(setting.place),
                dotted(setting.place),
                f"two cells are called {target.name!r}",
                "give each a name",
            )
        names.add(target.name)


def _factors(settings: list[Setting], targets: list[Target]) -> list[dict[str, Any]]:
    """Return the differences between cells that were written one by one: engines, fields, what they state.

    A field that only one kind of target has is no factor between kinds. Where every cell states its
    weight_format, the model's name is no further factor: the weights are the same in another form.
    """
    fields = [_fields(setting, target) for setting, target in zip(settings, targets, strict=True)]
    several_kinds = len({target.kind for target in targets}) > 1
    for found, target in zip(fields, targets, strict=True):
        if several_kinds:
            found["engine"] = found.get("engine") or target.engine_title or target.kind
        for other, its in zip(targets, fields, strict=True):
            if other.kind == target.kind:
                for name in its:
                    found.setdefault(name, None)
    written = list(dict.fromkeys(name for setting in settings for name in setting.levels))
    names = sorted(
        dict.fromkeys([*written, *(name for found in fields for name in found)]),
        key=lambda name: (name != "engine", name != "model"),
    )
    stated = all("weight_format" in setting.factors for setting in settings)
    chosen = [
        name
        for name in names
        if _differ([found[name] for found in fields if name in found])
        and not (name == "model" and stated)
    ]
    return [
        {name: found[name] for name in chosen if name in found} | setting.factors
        for found, setting in zip(fields, settings, strict=True)
    ]


def _differ(levels: list[Any]) -> bool:
    return any(not same_level_in(level, levels[:1]) for level in levels[1:])


def _fields(setting: Setting, target: Target) -> dict[str, Any]:
    """Return the target's fields that may make a difference by path; what a cell sets, as it is written."""
    found: dict[str, Any] = {}

    def unfold(path: str, value: Any) -> None:
        if path in setting.levels:
            found[path] = setting.levels[path]
        elif isinstance(value, dict):
            for name, inner in value.items():
                unfold(f"{path}.{name}" if path else name, inner)
        else:
            found[path] = value

    unfold("", target.model_dump(mode="json", exclude=set(_NO_FACTOR)))
    return found
