"""A matrix as a person writes it: one target in many settings, or several targets, measured as one.

It holds what is to be varied; `inputs.matrix` makes the targets and their order.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from observatory.core.counted_nouns import count_of
from observatory.core.strict import Strict
from observatory.core.targets.catalogue import Target
from observatory.core.targets.identity import NAME

MAX_CELLS = 256
MAX_RUNS = 1024
"""Cells times repeats; a matrix that is larger is a typing error, or weeks."""
NOT_VARIED = {
    "name": "a cell's name is made from its levels",
    "kind": "another kind is another target: list cells, each with its target",
    "headers": "its values are never stored, and levels are",
    "query": "its values are never stored, and levels are",
    "api_key_env": "levels are shown, and nothing about keys is",
    "api_key_file": "levels are shown, and nothing about keys is",
    "client_key": "levels are shown, and nothing about keys is",
}
"""Fields that a level must not set, and why."""
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


def same_level_in(level: Any, levels: list[Any]) -> bool:
    """Return whether the level is one of these; 1, 1.0 and true are three different levels."""
    return any(type(level) is type(other) and level == other for other in levels)


def _settable(fields: dict[str, Any]) -> dict[str, Any]:
    for name in fields:
        if not _PATH.fullmatch(name):
            raise ValueError(f"{name!r} is no field: write its name, or a path such as flags.seed")
        why = NOT_VARIED.get(name.split(".", 1)[0])
        if why is not None:
            raise ValueError(f"{name} cannot be set: {why}")
    return fields


def _several(levels: list[Any]) -> list[Any]:
    if len(levels) < 2:
        raise ValueError("one level varies nothing: give two or more")
    for place, level in enumerate(levels):
        if same_level_in(level, levels[:place]):
            raise ValueError(f"{level!r} is listed twice")
    return levels


Levels = Annotated[list[Any], AfterValidator(_several)]
Settings = Annotated[dict[str, Any], AfterValidator(_settable)]


class MatrixCell(Strict):
    """One setting of the matrix, several fields at once if need be."""

    name: str | None = Field(
        default=None, pattern=NAME, description="default: the target's name and the levels set"
    )
    target: str | Target | None = Field(
        default=None, description="another target than the base, by name or written here"
    )
    set: Settings = Field(default={}, description="fields of the target, by path")
    factors: dict[str, str] = Field(
        default={},
        description="other differences that are in no field, e.g. {weight_format: GGUF Q4_1}",
    )


class Matrix(Strict):
    """The settings of a target to be measured under the same load, repeated in blocks."""

    base: str | Target | None = Field(
        default=None, description="the target that is varied, by name or written here"
    )
    vary: dict[str, Levels] = Field(
        default={},
        description="levels of each field of the target (path, e.g. flags.attention-backend): "
        "every combination is a cell",
    )
    cells: list[MatrixCell] = Field(
        default=[], max_length=MAX_CELLS, description="cells one by one, instead of vary"
    )
    exclude: list[dict[str, Any]] = Field(
        default=[], description="combinations of levels that are left out"
    )
    repeats: int = Field(
        default=2, ge=1, le=MAX_RUNS, description="blocks: how often every cell is measured"
    )
    order: Literal["randomised", "as_written"] = Field(
        default="randomised", description="of the cells within each block, drawn from the seed"
    )
    together: bool = Field(
        default=False,
        description="true: all cells of a block are up at once and their stages interleaved; "
        "false: one after another, each alone on the machine",
    )

    @field_validator("vary")
    @classmethod
    def _fields(cls, vary: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return _settable(vary)

    @model_validator(mode="after")
    def _vary_or_cells(self) -> Self:
        if bool(self.vary) == bool(self.cells):
            raise ValueError("give vary (every combination) or cells (one by one), one of the two")
        if self.vary and self.base is None:
            raise ValueError("vary needs base: the target whose fields are varied")
        if self.cells and self.exclude:
            raise ValueError("exclude belongs to vary; leave the cell out of cells instead")
        if len(self.cells) == 1:
            raise ValueError("cells: one cell compares nothing; give two or more")
        for place, cell in enumerate(self.cells):
            if self.base is None and cell.target is None:
                raise ValueError(f"cells[{place}] names no target, and there is no base")
        for excluded in self.exclude:
            unknown = sorted(set(excluded) - set(self.vary))
            if unknown or not excluded:
                raise ValueError(f"exclude: {', '.join(unknown) or 'nothing'} is not varied")
            for name, level in excluded.items():
                if not same_level_in(level, self.vary[name]):
                    raise ValueError(f"exclude: {level!r} is no level of {name}")
        return self

    @model_validator(mode="after")
    def _of_a_size_that_ends(self) -> Self:
        count = len(self.cells) or 1
        for levels in self.vary.values():
            count *= len(levels)
        if count > MAX_CELLS:
            raise ValueError(f"{count} combinations; at most {MAX_CELLS}")
        if count * self.repeats > MAX_RUNS:
            raise ValueError(
                f"{count_of(count, 'cell')} x {count_of(self.repeats, 'repeat')}; at most {MAX_RUNS:,} runs"
            )
        return self
