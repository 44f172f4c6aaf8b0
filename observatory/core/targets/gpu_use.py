"""Which GPUs a target uses, as its file states them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuUse:
    """named: indices or UUIDs, None for the first ones; count: how many share each layer.

    memory_share: of each GPU's memory, None where not stated. visible: CUDA_VISIBLE_DEVICES as the
    target's file sets it, None where it inherits ours. count_key, share_key: the keys of the target's
    file that state count and memory_share, for messages.
    """

    named: list[int | str] | None
    count: int = 1
    memory_share: float | None = None
    visible: str | None = None
    count_key: str = "gpus"
    share_key: str | None = None
