"""Checks, before a start, that the GPUs and ports of the targets exist, are free, and are claimed once.

Pure: it gets the targets and the driver's figures.
"""

from collections.abc import Sequence

from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.targets.catalogue import Target
from observatory.core.targets.gpu_use import GpuUse
from observatory.telemetry.machine.gpu_inventory import Gpu

IDLE_BYTES = 1_000 * 2**20
"""Used on a GPU without any process: a driver's own few hundred MB (an H100's are about 600 MiB)."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
_FREE_IT = "end that process, or name other gpus"


def claims_of(target: Target, gpus: Sequence[Gpu], visible: str | None = None) -> list[Gpu]:
    """Return the GPUs that a target will use here; BadInput where one that it names is not there.

    A target that names none uses the first ones, as many as share each of its layers: of those that
    CUDA_VISIBLE_DEVICES shows it (visible: our own, which it inherits), else of all.
    """
    use = target.gpu_use
    if use is None or not target.runs_here:
        return []
    if not gpus and use.named is None:
        return []  # a CPU build's parallelism is over NUMA nodes
    undivided = [gpu for gpu in gpus if "/" not in gpu.name]
    shown = visible if use.visible is None else use.visible
    if use.named is None and shown is not None:
        names = shown.split(",")[: use.count]
        return [gpu for name in names for gpu in _matching(name.strip(), gpus)[:1]]
    if use.named is None:
        if len(undivided) < use.count:
            raise BadInput(
                f"{use.count_key} is {use.count}, and this machine has {count_of(len(undivided), 'GPU')}",
                where=f"target {target.name}",
                fix=f"set {use.count_key} to {len(undivided)} or less",
            )
        return undivided[: use.count]
    return named_gpus(target, gpus)


def named_gpus(target: Target, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return those that a target names; BadInput where one is not here."""
    named = (target.gpu_use.named if target.gpu_use is not None else None) or []
    return [_named(target, name, gpus) for name in named]


def check_ports_apart(targets: Sequence[Target]) -> None:
    """Raise BadInput where two targets that are up at the same time name one port."""
    taken: dict[int, str] = {}
    for target in targets:
        port = target.fixed_port
        if port and port in taken:
            raise BadInput(
                f"{taken[port]} and {target.name} both want port {port}",
                where="targets",
                fix="give each its own, or 0 for a free one",
            )
        taken[port] = target.name


def check_free(target: Target, gpus: Sequence[Gpu], visible: str | None = None) -> None:
    """Raise EnvironmentFailed, naming the owner, where a GPU of the target has memory in use by another."""
    for gpu in claims_of(target, gpus, visible):
        used = gpu.used_bytes or 0
        if not gpu.users and used <= IDLE_BYTES:
            continue
        by = (
            f" by {', '.join(gpu.users)}"
            if gpu.users
            else ", by a process that the driver does not name"
        )
        raise EnvironmentFailed(
            f"{gpu.name} is in use: {used / 2**30:.1f} GiB of its memory{by}",
            where=f"target {target.name}",
            fix=_FREE_IT,
        )


def check_together(
    targets: Sequence[Target], gpus: Sequence[Gpu], visible: str | None = None
) -> None:
    """Raise BadInput where targets that are up at the same time claim one GPU without a share of each.

    They may where each states its share of the memory and the shares are at most 1 together.
    """
    users: dict[str, list[Target]] = {}
    for target in targets:
        for gpu in claims_of(target, gpus, visible):
            users.setdefault(gpu.name, []).append(target)
    for name, sharing in users.items():
        uses = [use for target in sharing if (use := target.gpu_use) is not None]
        shares = [use.memory_share for use in uses]
        if len(sharing) < 2 or (None not in shares and sum(filter(None, shares)) <= 1):
            continue
        raise BadInput(
            f"{' and '.join(target.name for target in sharing)} both want {name}"
            if len(sharing) == 2
            else f"{', '.join(target.name for target in sharing)} all want {name}",
            where="targets",
            fix=f"give each its own gpus{_or_shares(uses)}",
        )


def _or_shares(uses: Sequence[GpuUse]) -> str:
    """Return the other way out, where every target's file has a key for its share of the memory."""
    keys = dict.fromkeys(use.share_key for use in uses)
    if None in keys:
        return ""
    return f", or each a {' or '.join(map(str, keys))}, at most 1 together"


def _named(target: Target, name: int | str, gpus: Sequence[Gpu]) -> Gpu:
    found = _matching(str(name), gpus)
    if len(found) == 1:
        return found[0]
    here = ", ".join(f"{gpu.name} ({gpu.uuid})" if gpu.uuid else gpu.name for gpu in gpus)
    raise BadInput(
        f"gpus: there is no GPU {name}" if not found else f"gpus: {name} matches several",
        where=f"target {target.name}",
        fix=f"name one of: {here}" if here else "this machine has none that NVML lists",
    )


def _matching(name: str, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs: by index a whole GPU; by UUID also a MIG device, and CUDA takes the beginning of one too."""
    if name.isdigit():
        return [gpu for gpu in gpus if gpu.index == int(name) and "/" not in gpu.name]
    return [gpu for gpu in gpus if name and gpu.uuid is not None and gpu.uuid.startswith(name)]
