"""What a kind's file in this room offers: how its targets are checked, addressed and opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from observatory.core.connection import Connection
from observatory.core.targets.identity import TargetIdentity
from observatory.endpoints.opened import OpenContext, OpenTarget

_Kind = TypeVar("_Kind", bound=TargetIdentity)


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Something that a kind needs on this machine. needed: the quickstart cannot do without it. fix: a
    command or a step."""

    name: str
    state: Literal["ok", "warning", "missing"]
    found: str
    fix: str | None = None
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Opener(Generic[_Kind]):
    """Each kind's file has one as OPENER.

    open: start the target or find it, and await its first answer. connection: its connection as far as its
    file defines it, with nothing read, started or sent. check: raise BadInput or EnvironmentFailed for
    faults that can be detected before a start. distribution: the package that would serve it, None where it
    is unknown. claims_gpus: whether it will compute on GPUs of this host.
    unbounded_output: why an output limit may not bound what is billed, None where it does.
    prerequisites: what it needs on this machine, for `observatory doctor`.
    """

    open: Callable[[_Kind, OpenContext], OpenTarget]
    connection: Callable[[_Kind], Connection]
    check: Callable[[_Kind], None] = lambda target: None
    distribution: Callable[[_Kind], str | None] = lambda target: None
    claims_gpus: Callable[[_Kind], bool] = lambda target: False
    unbounded_output: Callable[[_Kind], str | None] = lambda target: None
    prerequisites: Callable[[], Sequence[Prerequisite]] = tuple
