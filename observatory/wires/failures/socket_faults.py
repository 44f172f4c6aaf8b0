"""What an operating system's error means for an attempt: one table for every client that we measure through. Pure."""

import errno

from observatory.core.record import ErrorKind, ErrorPhase
from observatory.wires.http_attempt import Fault

_KINDS: dict[int, ErrorKind] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    # This machine's own limits: descriptors, ports, memory.
    errno.EMFILE: "client",
    errno.ENFILE: "client",
    errno.EADDRNOTAVAIL: "client",
    errno.ENOBUFS: "client",
    errno.ENOMEM: "client",
}


def socket_fault(phase: ErrorPhase, error: OSError) -> Fault:
    """Return an OSError as a fault of that phase."""
    kind = _KINDS.get(error.errno or 0, "reset" if phase != "connect" else "unreachable")
    text = error.strerror or str(error) or type(error).__name__
    return Fault(phase, kind, text, "timeout" if kind == "timeout" else "error")


def name_fault(error: OSError) -> Fault:
    """Return the fault for a name that cannot be resolved."""
    return Fault("dns", "unreachable", f"the name cannot be resolved: {error.strerror or error}")
