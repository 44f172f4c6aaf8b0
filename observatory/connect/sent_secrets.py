"""The secrets of a connection, which must never be stored or shown, also where a server repeats them.

Read in the process that sends; what is answered leaves it only inside a masker.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from observatory.connect.masking import Masker
from observatory.connect.proxies import proxy_of
from observatory.core.connection import (
    ENVIRONMENT_REFERENCE,
    Connection,
    resolve,
    resolved_headers,
)
from observatory.core.errors import ObservatoryError
from observatory.core.targets.literal_secrets import names_a_secret


def masker_of(*connections: Connection) -> Masker:
    """Return a masker for what the servers at these connections answer; raise BadInput as resolved_headers, proxy_of."""
    return Masker(secret for one in connections for secret in secrets_of(one))


def secrets_of(connection: Connection) -> list[str]:
    """Return the key, all that came from the environment, literals that look like a secret, the proxy's credentials."""
    given = {**connection.headers, **connection.query}
    secrets = [secret for name, value in given.items() for secret in secrets_in(name, value)]
    if connection.key is not None:
        secrets.append(resolved_headers(connection)[connection.key.header])
    proxy = proxy_of(connection)
    return secrets + (proxy.secrets if proxy is not None else [])


def secrets_in(name: str, value: str) -> Iterator[str]:
    """Yield what is secret in the value of a header or query parameter, whose ${NAME}s are still to be read."""
    references = ENVIRONMENT_REFERENCE.findall(value)
    if references:
        yield resolve(value, name)
        yield from (resolve(f"${{{variable}}}", name) for variable in references)
    elif names_a_secret(name) or Masker().error(value) != value:
        yield value


@contextmanager
def hiding(masker: Masker) -> Iterator[None]:
    """Mask errors that leave the block: they have none of the masker's secrets in their words."""
    try:
        yield
    except ObservatoryError as error:
        error.what = masker.exact(error.what)
        error.where = None if error.where is None else masker.exact(error.where)
        error.fix = None if error.fix is None else masker.exact(error.fix)
        error.args = (str(error),)
        raise
