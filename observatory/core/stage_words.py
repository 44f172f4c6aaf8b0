"""A stage's name for people, who count from 1; columns and JSON number stages from 0."""

from collections.abc import Sequence

from observatory.core.run import StageTimes
from observatory.core.units import human_level


def human_stage(index: int, level: str = "") -> str:
    """Return a stage's name for people: "stage 2, 4 users" for index 1 and level "4 users"."""
    return f"stage {index + 1}, {level}" if level else f"stage {index + 1}"


def stage_words(index: int, stages: Sequence[StageTimes]) -> str:
    """Return the name of the stage with this index, with its level where `stages` have it."""
    levels = (
        human_level(stage.kind, stage.concurrency, stage.rate_per_s)
        for stage in stages
        if stage.index == index
    )
    return human_stage(index, next(levels, ""))
