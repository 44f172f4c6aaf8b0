"""Send one GET with the standard library's client over the load's route: TLS, proxy, headers.

For the small requests to a target before it is measured; the caller handles errors.
"""

from observatory.connect.bounds import mib
from observatory.connect.proxies import proxy_of
from observatory.connect.timed_http import TimedConnection
from observatory.connect.tls import tls_context
from observatory.core.connection import Connection, resolved_headers, resolved_query


def get(
    connection: Connection,
    path: str,
    timeout_s: float,
    limit: int,
    accept: str = "application/json",
) -> tuple[int, bytes]:
    """Return status and body of GET `path`, which is from the server's root; the whole within timeout_s.

    OSError and HTTPException as they come, ValueError for a body of more than `limit` bytes; BadInput for
    a secret, certificate or proxy that is no good.
    """
    proxy = proxy_of(connection)
    headers = {"Accept": accept, **resolved_headers(connection)}
    target = f"{path}{resolved_query(connection)}"
    credentials: dict[str, str] = {}
    if proxy is not None and proxy.authorization is not None:
        credentials["Proxy-Authorization"] = proxy.authorization
    host, port = (connection.host, connection.port) if proxy is None else (proxy.host, proxy.port)
    context = tls_context(connection) if connection.scheme == "https" else None
    client = TimedConnection(host, port, timeout_s, context)
    if proxy is not None:
        if context is not None:
            client.set_tunnel(connection.host, connection.port, credentials)
        else:
            target = f"{connection.endpoint.removesuffix(connection.base_path)}{target}"
            headers |= credentials
    try:
        client.request("GET", target, headers=headers)
        response = client.getresponse()
        body = response.read(limit + 1)
        if len(body) > limit:
            raise ValueError(f"the answer has more than {mib(limit)}")
        return response.status, body
    finally:
        client.close()
