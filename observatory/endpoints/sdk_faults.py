"""What an exception of the openai package's client means for an attempt, in the words of our own transport. Pure."""

import socket
import ssl

import httpx2
import openai

from observatory.connect.proxies import Proxy
from observatory.core.record import ErrorPhase
from observatory.endpoints.listing import causes_of
from observatory.wires.failures.socket_faults import name_fault, socket_fault
from observatory.wires.http_attempt import Fault

_CLOSED = ("Server disconnected without sending a response", "peer closed connection without")
"""h11's and httpcore's words for a connection that ended before its answer did."""


def sdk_fault(error: Exception, phase: ErrorPhase, proxy: Proxy | None) -> Fault | None:
    """Return the fault; None where the response's status states it.

    phase: how far the request had progressed. The first specific cause is taken, the system's
    own before the client's text for it.
    """
    if isinstance(error, openai.APIStatusError):
        return None
    causes = [error, *causes_of(error)]
    for cause in causes:
        if isinstance(cause, httpx2.ProxyError):
            text = f"it refused the tunnel with HTTP {cause}"
            return _of_proxy(Fault("connect", "http_status", text), proxy)
        if isinstance(cause, OSError):
            fault = _system_fault(cause, phase)
            return _of_proxy(fault, proxy) if fault.phase in ("dns", "connect") else fault
    for cause in causes:
        if isinstance(cause, httpx2.TimeoutException):
            return Fault(phase, "timeout", str(cause) or type(cause).__name__, "timeout")
        if isinstance(cause, httpx2.HTTPError):
            early = str(cause).startswith(_CLOSED)
            fault = Fault(phase, "early_close" if early else "protocol", str(cause))
            return _of_proxy(fault, proxy) if phase == "connect" else fault
    if isinstance(error, openai.APIError):
        return Fault(phase, "error_event", error.message)
    if isinstance(error, ValueError):
        return Fault(phase, "bad_json", f"the client cannot read an event: {error}")
    return Fault(phase, "client", f"the client raised {type(error).__name__}: {error}")


def _system_fault(error: OSError, phase: ErrorPhase) -> Fault:
    if isinstance(error, socket.gaierror):
        return name_fault(error)
    if isinstance(error, ssl.SSLEOFError):
        return Fault(phase, "early_close", "the server closed the connection within TLS")
    if isinstance(error, ssl.SSLError):
        text = getattr(error, "verify_message", "") or error.reason or str(error)
        return Fault(phase, "tls", str(text))
    return socket_fault(phase, error)


def _of_proxy(fault: Fault, proxy: Proxy | None) -> Fault:
    """Return the fault with the proxy's address in its text; unchanged without a proxy."""
    if proxy is None:
        return fault
    return Fault(fault.phase, fault.kind, f"proxy {proxy.address}: {fault.text}", fault.outcome)
