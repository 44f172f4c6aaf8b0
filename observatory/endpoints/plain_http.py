"""One GET over the standard library's client, by the way that the load takes: TLS, proxy, headers.

For the small questions that a target is asked before it is measured; what is wrong is for the caller.
"""

import http.client

from observatory.core.connection import Connection, resolved_headers, resolved_query
from observatory.endpoints.proxies import proxy_of
from observatory.endpoints.tls import tls_context


def get(
    connection: Connection,
    path: str,
    timeout_s: float,
    limit: int,
    accept: str = "application/json",
) -> tuple[int, bytes]:
    """Status, and at most `limit` bytes of the body, of GET `path`, which is from the server's root.

    OSError and HTTPException as they come; BadInput for a secret, certificate or proxy that is no good.
    """
    proxy = proxy_of(connection)
    headers = {"Accept": accept, **resolved_headers(connection)}
    target = f"{path}{resolved_query(connection)}"
    credentials: dict[str, str] = {}
    if proxy is not None and proxy.authorization is not None:
        credentials["Proxy-Authorization"] = proxy.authorization
    host, port = (connection.host, connection.port) if proxy is None else (proxy.host, proxy.port)
    client: http.client.HTTPConnection
    if connection.scheme == "https":
        context = tls_context(connection)
        client = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
        if proxy is not None:
            client.set_tunnel(connection.host, connection.port, credentials)
    else:
        client = http.client.HTTPConnection(host, port, timeout=timeout_s)
        if proxy is not None:
            target = f"{connection.endpoint.removesuffix(connection.base_path)}{target}"
            headers |= credentials
    try:
        client.request("GET", target, headers=headers)
        response = client.getresponse()
        return response.status, response.read(limit)
    finally:
        client.close()
