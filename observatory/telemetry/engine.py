"""What the target's own server says of itself: how many requests it runs and how many wait in it.

Read from the Prometheus page beside its API, where it offers one. That is decided by the first
reading; a server without such a page gives no samples, because there is nothing to doubt.
"""

import http.client
import re

from observatory.core.connection import Connection
from observatory.core.sample import Sample
from observatory.endpoints.tls import tls_context
from observatory.telemetry.sensor import down, up

GAUGES: dict[str, str] = {
    "vllm:num_requests_running": "engine_requests_running",
    "vllm:num_requests_waiting": "engine_requests_waiting",
    "llamacpp:requests_processing": "engine_requests_running",
    "llamacpp:requests_deferred": "engine_requests_waiting",
    "sglang:num_running_reqs": "engine_requests_running",
    "sglang:num_queue_reqs": "engine_requests_waiting",
    "tgi_batch_current_size": "engine_requests_running",
    "tgi_queue_size": "engine_requests_waiting",
}
"""The engines' names (vLLM, llama.cpp, SGLang, TGI) -> ours."""
PAGE_LIMIT = 4 << 20
"""Bytes of a page that are read at most; vLLM's is some 100 kB."""
TIMEOUT_S = 2.0
_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^\n]*\})?[ \t]+(\S+)", re.MULTILINE)


class EngineSensor:
    """engine_requests_running and engine_requests_waiting of one target.

    Gauges that stand there several times (one an engine core, or a model) are added up.
    """

    name = "engine"

    def __init__(self, role: str, connection: Connection) -> None:
        self._role = role
        self._connection = connection
        self._path = metrics_path(connection)
        self._client: http.client.HTTPConnection | None = None
        self._offered: bool | None = None

    def read(self, now: int) -> list[Sample]:
        """Its samples; none where no such page is offered, `up` = 0 where one no longer answers."""
        if self._offered is False:
            return []
        try:
            found = gauges(self._page())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._forget()
            if self._offered is None:
                self._offered = False
                return []
            return [down(self.name, now, str(error), subject="target", device=self._role)]
        self._offered = self._offered or bool(found)
        return [
            *([up(self.name, now, subject="target", device=self._role)] if found else []),
            *(
                Sample(now, self.name, "target", self._role, metric, value)
                for metric, value in found.items()
            ),
        ]

    def _page(self) -> str:
        """The page's text; ValueError where it is none of Prometheus."""
        client = self._client = self._client or self._connect()
        client.request("GET", self._path)
        response = client.getresponse()
        body = response.read(PAGE_LIMIT)
        kind = response.headers.get_content_type()
        if response.status != 200 or kind not in ("text/plain", "application/openmetrics-text"):
            raise ValueError(f"HTTP {response.status}, {kind}")
        return body.decode("utf-8", "replace")

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._connection.host, self._connection.port
        if self._connection.scheme == "https":
            context = tls_context(self._connection)
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)

    def _forget(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def metrics_path(connection: Connection) -> str:
    """Where engines put the page: beside /v1, so /v1 -> /metrics and /team/v1 -> /team/metrics."""
    return connection.base_path.rstrip("/").removesuffix("/v1") + "/metrics"


def gauges(page: str) -> dict[str, float]:
    """Our metrics from a page in Prometheus' text format, each the sum over its label sets."""
    found: dict[str, float] = {}
    for name, value in _LINE.findall(page):
        metric = GAUGES.get(name)
        if metric is not None:
            found[metric] = found.get(metric, 0.0) + float(value)
    return found
