"""Secrets are found however they were sent."""

import pytest

from observatory.core.clock import new_anchor
from observatory.core.connection import Connection, resolved_query
from observatory.load.connections.endpoint import make_endpoint


def test_a_signature_in_the_query_is_masked_as_it_was_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gateways repeat the requested URL in headers and in errors."""
    monkeypatch.setenv("SIGNATURE", "a/b+c= d&e")
    connection = Connection(
        scheme="http",
        host="127.0.0.1",
        port=1,
        base_path="/v1",
        model="m",
        query={"sign": "${SIGNATURE}", "api-version": "1"},
    )
    masker = make_endpoint(connection, new_anchor(), request="chat", stream=True).masker
    query = resolved_query(connection)
    assert query == "?sign=a%2Fb%2Bc%3D+d%26e&api-version=1"
    for stated in (query, query.replace("+", "%20"), "?sign=a/b+c= d&e&api-version=1"):
        assert masker.exact(f"GET /v1{stated}") == "GET /v1?sign=***&api-version=1"
        assert masker.error(f"no such {stated}") == "no such ?sign=***&api-version=1"
