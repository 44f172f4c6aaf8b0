"""The packages that an engine is installed from."""

from dataclasses import dataclass
from typing import Literal

Build = Literal["cuda", "cpu"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a build of an engine is called in the package index, and who made it."""

    name: str
    build: Build
    third_party: bool
