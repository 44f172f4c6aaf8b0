"""Keeps secrets out of what is stored: those that we sent, and anything that looks like a key."""

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
_KEY_LIKE = re.compile(
    r"(?i:bearer|basic)\s+[^\s\"',;]{4,}"
    r"|\b(?:sk|pk|rk|gsk|xai|hf|nvapi|pplx|r8|fw|tgp)[-_][A-Za-z0-9_\-.*]{6,}"
    r"|(?i:api[-_ ]?key|\bkey|\btoken|\bsecret|\bpassword)[\"']?\s*[=:]\s*[\"']?[^\s\"',;}]{4,}"
    r"|\bAIza[0-9A-Za-z_\-]{10,}"
    r"|\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]+)*"
    r"|\b(?=[A-Za-z_\-]*[0-9])(?=[0-9_\-]*[A-Za-z])[A-Za-z0-9_\-]{40,}"
)
"""Bearer and basic credentials, prefixes of known providers, named values, Google keys, JSON Web
Tokens, and any run of 40 characters with letters and digits."""


class Masker:
    """Replaces the given secrets, and in error texts also whatever looks like a key, by MASK."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        bare = {part for secret in secrets for part in (secret, secret.rpartition(" ")[2])}
        # In a URL, which servers repeat, they stand as they are encoded there.
        parts = {said for part in bare for said in (part, quote(part, safe=""), quote_plus(part))}
        # Longest first, so that no tail of one is left; what is too short would mask words.
        self._secrets = sorted((part for part in parts if len(part) >= 4), key=len, reverse=True)

    def exact(self, text: str) -> str:
        """The text without the secrets that were sent."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def error(self, text: str) -> str:
        """The text without those secrets and without anything like a key."""
        return _KEY_LIKE.sub(MASK, self.exact(text))
