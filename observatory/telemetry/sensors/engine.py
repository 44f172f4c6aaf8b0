"""What the target's own server reports of itself: load, KV cache, tokens and times, in our vocabulary.

Read from the Prometheus page next to its API, where it offers one. That is decided by the first
reading; a server without such a page gives no samples, because there is nothing to doubt.
"""

import http.client
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from observatory.connect.tls import tls_context
from observatory.core.connection import Connection, resolved_headers
from observatory.core.errors import ObservatoryError
from observatory.core.sample import Sample
from observatory.telemetry.plausible import IMPLAUSIBLE
from observatory.telemetry.scraping.exposition import ExposedSeries, read_page
from observatory.telemetry.scraping.scrape import PageAddress, Scrape, address_of
from observatory.telemetry.sensors import engine_names
from observatory.telemetry.sensors.engine_restarts import EVIDENCE, Restarts
from observatory.telemetry.sensors.sensor import down, up

AGAIN_AFTER = 4
"""Readings that are left out after a page that could be read and had nothing of an engine: some engines have
no series before their first request."""
NO_NUMBER = "a part of it is no number on the engine's page"


def implausible(read: engine_names.Read) -> dict[str, str]:
    """Return our metrics of which a part cannot be, each with the reason: below 0, or no share from 0 to 1.

    Engines and their forks differ in whether a `_perc` is a fraction or per cent.
    """
    found: dict[str, str] = {}
    for name, series in read.items():
        for value in series.values():
            if value < 0:
                lie = "is negative"
            elif name in engine_names.FRACTIONS and 1 + 1e-9 < value < math.inf:
                lie = "is no share from 0 to 1"
            else:
                continue
            found |= dict.fromkeys(
                engine_names.TERMS[name], f"{IMPLAUSIBLE}{name} {value:.6g} {lie}"
            )
    return found


class EngineSensor:
    """The metrics of engine_names.VOCABULARY, of one target.

    url: its page where that is not next to its API. One that was named is read all the time, and
    `up` = 0 where it cannot be read. aliases: series of its page -> the name of engine_names that
    each is read as.
    """

    name = "engine"
    settles_s = 0.1
    """An engine may count a request some milliseconds after it has sent its last token."""

    def __init__(
        self,
        role: str,
        connection: Connection,
        url: str | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._role = role
        self._connection = connection
        self._url = url
        self._aliases = dict(aliases or {})
        self._wanted = engine_names.NAMES | EVIDENCE | self._aliases.keys()
        self._scrape: Scrape | None = None
        self._offered: bool | None = None if url is None else True
        self._restarts = Restarts()
        self._put_off = 0

    def read(self, now: int) -> list[Sample]:
        """Return its samples; none where no such page is offered, `up` = 0 where one no longer answers."""
        self._put_off -= 1
        if self._offered is False or self._put_off >= 0:
            return []
        try:
            self._scrape = self._scrape or self._opened()
            page = read_page(self._scrape.page(), self._wanted.__contains__)
            series = [replace(one, name=self._aliases.get(one.name, one.name)) for one in page]
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._offered:
                return [self._down(now, str(error) or type(error).__name__)]
            if not isinstance(error, TimeoutError):  # a slow first answer decides nothing
                self._offered = False
            return []
        except ObservatoryError as error:
            return [self._down(now, str(error))]
        if self._offered is None and not any(one.name in engine_names.NAMES for one in series):
            self._put_off = AGAIN_AFTER
            return []
        self._offered = True
        try:
            return self._samples(now, series)
        except ValueError as error:
            return [self._down(now, str(error))]

    def _samples(self, now: int, series: Sequence[ExposedSeries]) -> list[Sample]:
        read = engine_names.of_target(
            [one for one in series if one.name in engine_names.NAMES], self._connection.model
        )
        values = engine_names.translate(read)
        if not values:
            return [self._down(now, "the page has nothing of an engine that is known")]
        reasons = dict.fromkeys((metric for metric in values if values[metric] is None), NO_NUMBER)
        for metric, why in implausible(read).items():
            if metric in values:
                values[metric], reasons[metric] = None, why
        for metric, why in self._restarts.found(read, series).items():
            values[metric], reasons[metric] = None, why
        return [
            up(self.name, now, subject="target", device=self._role),
            *(
                Sample(now, self.name, "target", self._role, metric, value, reasons.get(metric))
                for metric, value in values.items()
            ),
        ]

    def _down(self, now: int, reason: str) -> Sample:
        return down(self.name, now, reason, subject="target", device=self._role)

    def _opened(self) -> Scrape:
        """Open it next to the API with the target's own headers, because it is the same service; elsewhere
        without them."""
        connection = self._connection
        address = metrics_page(connection) if self._url is None else address_of(self._url)
        service = (connection.scheme, connection.host, connection.port)
        same = (address.scheme, address.host, address.port) == service
        context = tls_context(connection) if address.scheme == "https" else None
        return Scrape(address, resolved_headers(connection) if same else {}, context)


def metrics_page(connection: Connection) -> PageAddress:
    """Return where engines put the page: next to /v1, so /v1 -> /metrics and /team/v1 -> /team/metrics."""
    path = connection.base_path.rstrip("/").removesuffix("/v1") + "/metrics"
    return PageAddress(connection.scheme, connection.host, connection.port, path)
