"""Which transport a worker's users have: our own sockets, or the openai package's client."""

from collections.abc import Callable

from observatory.load.connections.endpoint import Endpoint
from observatory.load.connections.sdk_transport import SdkTransport, SdkTransportFactory
from observatory.load.connections.tails import Tails
from observatory.load.connections.transport import Transport
from observatory.load.connections.watchdog import Watchdog
from observatory.load.handoff import Handoff
from observatory.load.reading.ring import Ring

AnyTransport = Transport | SdkTransport


class TransportFactory:
    """Makes the transport of one more user; close it when the stage is over."""

    def __init__(
        self,
        endpoint: Endpoint,
        watchdog: Watchdog,
        handoff: Handoff,
        open_ring: Callable[[], Ring | None],
    ) -> None:
        """Raise BadInput where the client cannot be made. open_ring is called where its reads are needed."""
        self._endpoint = endpoint
        self._watchdog = watchdog
        self._sdk: SdkTransportFactory | None = None
        self._ring: Ring | None = None
        if endpoint.connection.transport == "sdk":
            self._sdk = SdkTransportFactory(endpoint, handoff.request)
        else:
            self._ring = open_ring()
        self._tails = Tails(endpoint.connection.wire)

    def make(self) -> AnyTransport:
        """Return a transport."""
        if self._sdk is not None:
            return SdkTransport(self._endpoint, self._watchdog, self._sdk)
        return Transport(self._endpoint, self._watchdog, self._tails, self._ring)

    def close(self) -> None:
        """Close what all users share."""
        self._tails.close()
        if self._sdk is not None:
            self._sdk.close()
