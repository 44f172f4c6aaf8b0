"""Refuse secrets written literally in a scenario's file instead of as a variable.

They are detected by their name or form; a value alone does not identify itself as a secret. The error
requires ${NAME} instead.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

from observatory.core.connection import ENVIRONMENT_REFERENCE

ENVIRONMENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_SECRET_HEADER = re.compile(
    r"authorization|cookie|secret|password|token$|api-?key|subscription-key|(^|-)auth$",
    re.IGNORECASE,
)
"""Authorization, X-Api-Key, Private-Token, Ocp-Apim-Subscription-Key, X-Vault-Token and their like."""
_SECRET_NAME = re.compile(
    r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)($|_)", re.IGNORECASE
)
_SECRET_PARAMETER = re.compile(r"^(key|code|sig|signature|sas)$|apikey", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")


def names_a_secret(name: str) -> bool:
    """Return whether a header, a query parameter or a variable of this name carries a secret."""
    patterns = (_SECRET_HEADER, _SECRET_NAME, _SECRET_PARAMETER)
    return any(pattern.search(name) for pattern in patterns)


def no_literal_secret(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers; raise ValueError where one with a secret does not read it from the environment."""
    for name, value in headers.items():
        if _SECRET_HEADER.search(name) and not ENVIRONMENT_REFERENCE.search(value):
            raise ValueError(
                f"header {name}: a secret is not allowed in a file; write ${{NAME}} and set NAME"
            )
    return headers


Headers = Annotated[dict[str, str], AfterValidator(no_literal_secret)]
"""Headers of a file: none has a secret of its own."""


def no_literal_secret_in(environment: dict[str, str]) -> None:
    """Raise ValueError where a variable that carries a secret, or an address with a password, is literal."""
    for name, value in environment.items():
        secret = _SECRET_NAME.search(name) or _CREDENTIALS.search(value)
        if secret and not ENVIRONMENT_REFERENCE.search(value):
            raise ValueError(
                f"{name}: a secret is not allowed in a file; write ${{NAME}} and set NAME"
            )
