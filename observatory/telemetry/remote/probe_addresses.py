"""The probes that a scenario names, as addresses for the sampler, without secrets.

What can be wrong with one before it is read raises here, before anything starts.
"""

from observatory.connect.tls import tls_context
from observatory.core.connection import Connection, KeySource, resolved_headers
from observatory.core.sensor_config import ProbeEntry, Telemetry
from observatory.endpoints.url import address_of
from observatory.telemetry.remote.remote_samples import ProbeAddress, RemoteHost


def probe_addresses(telemetry: Telemetry) -> list[ProbeAddress]:
    """Return one a probe. BadInput where a token is not to be had or a certificate cannot be used."""
    found = []
    for entry in telemetry.probes:
        connection = _connection(entry)
        resolved_headers(connection)
        if connection.scheme == "https":
            tls_context(connection)
        host = RemoteHost(entry.name, entry.subject, entry.gpus)
        found.append(ProbeAddress(host, connection))
    return found


def _connection(entry: ProbeEntry) -> Connection:
    scheme, host, port, base_path = address_of(entry.url, f"probe {entry.name}")
    key = None
    if entry.token_file is not None:
        key = KeySource(file=str(entry.token_file.expanduser().resolve()))
    elif entry.token_env is not None:
        key = KeySource(env=entry.token_env)
    return Connection(
        scheme=scheme,
        host=host,
        port=port,
        base_path=base_path,
        model="",
        key=key,
        ca_bundle=str(entry.ca_bundle.expanduser().resolve()) if entry.ca_bundle else None,
    )
