"""Opens a vLLM target: one that runs already, found by its URL.

vLLM lives in an environment of its own and is never imported here.
"""

from observatory.core.errors import BadInput
from observatory.core.target import VllmTarget
from observatory.endpoints.opened import OpenContext, OpenTarget
from observatory.endpoints.url import open_url


def open_vllm(target: VllmTarget, context: OpenContext) -> OpenTarget:
    """The engine at the target's URL. BadInput: it names no model and lists none or several."""
    check_vllm(target)
    return open_url(target)


def check_vllm(target: VllmTarget) -> None:
    """BadInput for what is wrong with the target and can be known before anything is started."""
    if target.url is None:
        raise BadInput(
            "vLLM is not started here: only one that runs already can be measured",
            where=f"target {target.name}",
            fix="start it and give its url: http://127.0.0.1:8000/v1",
        )
