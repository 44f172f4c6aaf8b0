"""Keeps secrets out of what is stored: those that we sent, and anything that looks like a key."""

import base64
import re
import string
from collections.abc import Callable, Iterable
from functools import cached_property
from html.entities import html5
from typing import Any
from urllib.parse import quote

MASK = "***"
MOST_MASKED = 64 * 1024
"""Characters of a text that are masked before it is cut to what is kept of it: what is cut first must be long."""
_SHORTEST = 4
"""Characters of a secret that is masked; a shorter one would mask words."""
_UNUSUAL = 8
"""From here on a secret is masked in any case and any encoding: no word is like it by accident."""
_PIECE = 12
"""Characters at either end of a secret that are masked where a server shows only a part of it."""
_WITH_PIECES = 16
_ASCII_LETTERS = frozenset(string.ascii_letters + string.digits + "-_%")
_REST_OF_CODED = re.compile(
    r"(?:[0-9A-Fa-f]{2}[ :\-])+[0-9A-Fa-f]{2}\b"
    r"|[\w+/=\-%]*(?:(?:\r?\n|(?:\\r)?\\n)[A-Za-z0-9+/=]{4,})*"
)
"""Base64 or hexadecimal digits to their end, over line ends too (MIME has one after 76 characters)."""
_BETWEEN_OCTETS = " :-"
"""Signs between hexadecimal octets: Node.js prints a buffer as <Buffer 73 6b 2d>."""
_ESCAPE_SIGN = re.compile(r"[%\\&]")
_SCHEMES = ("bearer", "basic")
_ENTITIES = {
    sign: "|".join(name for name, value in html5.items() if value == sign and name.endswith(";"))
    for sign in string.punctuation
}
"""Names of a sign in HTML: /, + and = have some too (&sol;), which several escapers use."""
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


def cut_between_words(text: str, most: int) -> str:
    """Return the beginning of a text that is masked later; no word is cut, so that no part of a secret is left."""
    if len(text) <= most:
        return text
    return text[: text.rfind(" ", 0, most + 1) + 1] + "..."


class Masker:
    """Replaces the given secrets by MASK, and in error texts also any text that looks like a key.

    A secret of 8 characters or more is found in any case, as Base64, in hexadecimal digits and with
    any of its characters escaped as in a URL, JSON or HTML; one of 16 or more also by its first or its
    last 12 characters, with what of it is shown next to them, and by the beginning of its Base64. Texts
    without any cost a few searches for substrings.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        bare = _parts(secrets)
        self.parts = tuple(bare)
        """The secrets themselves, without schemes."""
        self._unusual = [part for part in bare if len(part) >= _UNUSUAL]
        self._coded = [text for part in self._unusual for text in _coded(part)]
        ends = [end for part in self._unusual for end in _ends(part)]
        self._needles = sorted({text.lower() for text in (*ends, *map(_first_of, self._coded))})
        short = [part for part in bare if len(part) < _UNUSUAL]
        self._words = [form for part in short for form in (part, quote(part, safe=""))]
        self._shortest = min(map(len, (*self._words, *self._needles)), default=1 << 62)

    def exact(self, text: str) -> str:
        """Return the text without the secrets that were sent."""
        if len(text) < self._shortest:
            return text
        for word in self._words:
            text = text.replace(word, MASK)
        if not self._needles:
            return text
        if _ESCAPE_SIGN.search(text):
            return self._masked(self._escaped, text)
        folded = text.lower()
        for needle in self._needles:
            if needle in folded:
                return self._masked(self._plain, text)
        return text

    @cached_property
    def _plain(self) -> re.Pattern[str]:
        """Return every form. The whole before its parts, so that no rest of one is left."""
        return self._pattern(re.escape, re.escape)

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        """Return every form with characters escaped; of Base64 only those that are no letter and no digit."""
        return self._pattern(
            lambda form: "".join(map(_any_escape, form)),
            lambda form: "".join(one if one.isalnum() else _any_escape(one) for one in form),
        )

    def _pattern(self, own: Callable[[str], str], coded: Callable[[str], str]) -> re.Pattern[str]:
        """Return whole forms, then parts in the groups first, last and coded, whose rest `_extended` looks for."""
        long = [part for part in self._unusual if len(part) >= _WITH_PIECES]
        wholes = [
            *map(own, _longest_first(self._unusual)),
            *map(coded, _longest_first(self._coded)),
        ]
        parts = {
            "first": [own(part[:_PIECE]) for part in long],
            "last": [own(part[-_PIECE:]) for part in long],
            "coded": [coded(_first_of(form)) for form in _longest_first(self._coded)],
        }
        named = [f"(?P<{name}>{'|'.join(forms)})" for name, forms in parts.items() if forms]
        joined = "|".join([*wholes, *named])
        return re.compile(rf"(?:\b(?:bearer|basic)\s+)?(?:{joined})", re.IGNORECASE)

    @cached_property
    def _letters(self) -> frozenset[str]:
        """Return the characters that may continue a part of a secret."""
        own = {sign for part in self._unusual for sign in part if not sign.isspace()}
        return frozenset(_ASCII_LETTERS | own | {sign.swapcase() for sign in own})

    def _masked(self, pattern: re.Pattern[str], text: str) -> str:
        kept: list[str] = []
        at = 0
        for match in pattern.finditer(text):
            if match.start() < at:
                continue
            begin, end = self._extended(text, match, at)
            kept += (text[at:begin], MASK)
            at = end
        return "".join([*kept, text[at:]])

    def _extended(self, text: str, match: re.Match[str], at: int) -> tuple[int, int]:
        """Return where a secret begins and ends of which a part was found, at `at` the earliest."""
        begin, end = match.span()
        if match.lastgroup == "first":
            while end < len(text) and text[end] in self._letters:
                end += 1
        elif match.lastgroup == "last":
            while begin > at and text[begin - 1] in self._letters:
                begin -= 1
        elif match.lastgroup == "coded":
            end = _REST_OF_CODED.match(text, end).end()  # type: ignore[union-attr]
        return begin, end

    def error(self, text: str) -> str:
        """Return the text without those secrets and without anything like a key."""
        return _KEY_LIKE.sub(MASK, self.exact(text))

    def values(self, value: Any) -> Any:
        """Return a value of JSON with every text in it as `exact` leaves it, names of fields too."""
        if isinstance(value, str):
            return self.exact(value)
        if isinstance(value, dict):
            return {self.exact(str(name)): self.values(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.values(inner) for inner in value]
        return value


def _parts(secrets: Iterable[str]) -> list[str]:
    """Return the secrets without a scheme such as Bearer before them, and the pair inside Basic's Base64."""
    found: set[str] = set()
    for secret in secrets:
        scheme, _, value = secret.strip().partition(" ")
        found.add(secret.strip().rpartition(" ")[2])
        found.add(value.strip() if scheme.lower() in _SCHEMES else secret.strip())
        if scheme.lower() == "basic":
            pair = _decoded(value)
            found |= {pair, pair.partition(":")[2]}
    return sorted(part for part in found if len(part) >= _SHORTEST)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""


def _ends(secret: str) -> list[str]:
    """Return the texts to search for: the secret, or its ends where these alone reveal it."""
    if len(secret) < _WITH_PIECES:
        return [secret]
    return [secret[:_PIECE], secret[-_PIECE:]]


def _first_of(form: str) -> str:
    """Return the beginning of a coded form, which alone gives it away; a short one whole."""
    return form[:_PIECE] if len(form) >= _WITH_PIECES else form


def _coded(secret: str) -> list[str]:
    """Return the secret in hexadecimal digits, and in Base64 at each of the three places that it can begin at.

    Of Base64 only the characters that do not depend on the text before and after the secret.
    """
    data = secret.encode()
    texts = [data.hex(), *(data.hex(sign) for sign in _BETWEEN_OCTETS)]
    for before in range(3):
        for alphabet in (None, b"-_"):
            encoded = base64.b64encode(bytes(before) + data, alphabet).decode()
            settled = (before + len(data)) * 8 // 6
            texts.append(encoded[-(-before * 8 // 6) : settled])
    return [text for text in texts if len(text) >= _UNUSUAL]


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted(set(texts), key=lambda text: (-len(text), text))


def _any_escape(letter: str) -> str:
    """Return a pattern for one character, plain or escaped: %2F (also %252F), \\/ and \\u002f, &#47; and &#x2f;."""
    code = ord(letter)
    in_url = "".join(f"%(?:25)*{byte:02x}" for byte in letter.encode())
    forms = [
        in_url,
        rf"\\+u{code:04x}",
        rf"\\+x{code:02x}",
        rf"\\+u\{{0*{code:x}\}}",
        rf"&\#(?:0*{code}|x0*{code:x});",
    ]
    if letter == " ":
        forms.append(r"\+")
    if not letter.isalnum():
        forms.append(r"\\+" + re.escape(letter))
    if names := _ENTITIES.get(letter):
        forms.append(f"&(?:{names})")
    forms.append(re.escape(letter))  # the last: an escape may begin with it
    return f"(?:{'|'.join(forms)})"
