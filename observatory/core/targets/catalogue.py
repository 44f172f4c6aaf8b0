"""The kinds of target: one file and one line each.

A new kind is a model in this folder, a file in `endpoints` that the model names as `opened_by`, and a
line here. Code outside these files reads traits (identity.TargetIdentity) and compares no kind.
"""

from typing import TYPE_CHECKING, Annotated, Union, get_args

from pydantic import Field

from observatory.core.targets.api import ApiTarget
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.identity import TargetIdentity
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.url import UrlTarget
from observatory.core.targets.vllm import VllmTarget

TARGETS: tuple[type[TargetIdentity], ...] = (
    LlamaCppTarget,
    VllmTarget,
    UrlTarget,
    ApiTarget,
    EmulatedTarget,
)

if TYPE_CHECKING:
    Target = TargetIdentity  # for the type checker only the traits exist
else:
    Target = Annotated[Union[TARGETS], Field(discriminator="kind")]  # noqa: UP007


KINDS: dict[str, type[TargetIdentity]] = {
    word: model for model in TARGETS for word in get_args(model.model_fields["kind"].annotation)
}
"""The word of each kind, and its model."""


def kind_traits(kind: str) -> type[TargetIdentity]:
    """Return the class whose class-level traits a stored kind has; TargetIdentity for one that is not known."""
    return KINDS.get(kind, TargetIdentity)
