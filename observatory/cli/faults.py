"""Errors of this machine that no room expected, as one line: a disk, a permission, memory.

Rooms raise EnvironmentFailed where they know the file; this is for what reaches the command's end.
"""

import resource
import sys
from pathlib import Path

from observatory.core.errors import EnvironmentFailed
from observatory.store.files import disk_error

_LIBRARIES = {
    "duckdb": ("IOException", "OutOfMemoryException", "FatalException"),
    "polars.exceptions": ("ComputeError",),
}
_MEMORY = ("cannot allocate memory", "out of memory", "failed to map segment", "memory allocation")
_MORE_MEMORY = "give it more memory (ulimit -v, the container's limit), or load less at once"


LEAST_BYTES = 700 << 20
"""Address space below which the libraries that read and judge runs end the process themselves."""
_LIGHT = ("--help", "init", "scenario", "model", "engine", "target", "emulate", "probe", "schema")
"""Verbs that load none of them."""


def check_address_space(verb: str | None) -> None:
    """Raise EnvironmentFailed where this process may not have the memory that a verb begins with."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if verb in (None, *_LIGHT) or limit == resource.RLIM_INFINITY or limit >= LEAST_BYTES:
        return
    raise EnvironmentFailed(
        f"the address space is limited to {limit >> 20} MiB; {verb} begins with "
        f"{LEAST_BYTES >> 20} MiB",
        fix="raise the limit: ulimit -v unlimited",
    )


def environment_fault(error: BaseException) -> EnvironmentFailed | None:
    """Return the error in words where this machine is at fault, None where it looks like a bug."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(word in text.lower() for word in _MEMORY):
        return EnvironmentFailed("there is not enough memory", fix=_MORE_MEMORY)
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return EnvironmentFailed(
            "no thread can be started",
            fix="raise the limit of processes or of memory (ulimit -u, -v)",
        )
    if isinstance(error, OSError) and error.errno is not None:
        if error.filename is not None:
            return disk_error(error, Path(str(error.filename)))
        return EnvironmentFailed(error.strerror or text)
    for module, names in _LIBRARIES.items():
        kinds = [getattr(sys.modules.get(module), name, None) for name in names]
        known = any(isinstance(error, kind) for kind in kinds if isinstance(kind, type))
        if known and (module == "duckdb" or "os error" in text):
            return EnvironmentFailed(text)
    return None
