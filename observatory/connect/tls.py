"""The TLS of a connection: always verified, against the system's authorities or its own.

One place, so that a check of a target and the load on it trust the same certificates.
"""

import ssl

from observatory.core.connection import Connection
from observatory.core.errors import BadInput


def tls_context(connection: Connection) -> ssl.SSLContext:
    """Return a client context for an https connection; raise BadInput where a PEM file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=connection.ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(
            f"ca_bundle cannot be used: {_why(error)}", where=connection.ca_bundle, fix=_PEM
        ) from error
    if connection.client_certificate is not None:
        try:
            context.load_cert_chain(
                connection.client_certificate, connection.client_key, password=_no_password
            )
        except (OSError, ssl.SSLError, _Encrypted) as error:
            raise BadInput(
                f"client_certificate cannot be used: {_why(error)}",
                where=connection.client_certificate,
                fix=_PEM,
            ) from error
    return context


_PEM = "it must be a PEM file, and a private key in it must match and be without a password"


class _Encrypted(Exception):
    """Raised for a private key with a password: a benchmark has no prompt for one."""


def _no_password() -> str:
    raise _Encrypted("the private key has a password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error.args[0])
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
