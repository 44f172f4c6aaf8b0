"""The kinds of target: one file and one line each."""

from typing import Annotated

from pydantic import Field

from observatory.core.targets.api import ApiTarget
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.url import UrlTarget
from observatory.core.targets.vllm import VllmTarget

Target = Annotated[
    LlamaCppTarget | VllmTarget | UrlTarget | ApiTarget | EmulatedTarget,
    Field(discriminator="kind"),
]
