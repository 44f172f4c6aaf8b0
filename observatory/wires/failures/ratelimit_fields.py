"""The fields RateLimit and RateLimit-Policy of IETF's draft-ietf-httpapi-ratelimit-headers. Pure.

From draft 08 on both are lists, an item for each policy: `RateLimit: "burst";r=50;t=30` and `RateLimit-Policy:
"burst";q=100;w=60, "tokens";q=9000;w=60;qu="tokens"`. Draft 07 has `RateLimit: limit=100, remaining=50, reset=30`,
and the policies `100;w=60, 5000;w=86400`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FIELDS = ("ratelimit", "ratelimit-policy")
_ITEM = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^",])+)')
_PARAMETER = re.compile(r';\s*([a-z*][\w*.-]*)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]+)', re.IGNORECASE)
_PAIR = re.compile(r"\s*(limit|remaining|reset)\s*=\s*(\d+(?:\.\d+)?)\s*", re.IGNORECASE)
_MOST_ITEMS = 32
_TOKENS = re.compile(r"token|tpm|tpd")


@dataclass(frozen=True, slots=True)
class Quota:
    """One policy, and what is left of it; None: not stated. unit: requests unless the policy names another."""

    name: str
    quota: float | None = None
    window_s: float | None = None
    unit: str = "requests"
    remaining: float | None = None
    reset_s: float | None = None

    @property
    def of_tokens(self) -> bool:
        """Return whether it counts tokens, by its unit, else by its name."""
        return "token" in self.unit or (
            self.unit == "requests" and bool(_TOKENS.search(self.name.lower()))
        )

    @property
    def share(self) -> float | None:
        """Return the share of the quota that is left, 0 where nothing is; None where that is not known."""
        if self.remaining == 0:
            return 0.0
        if self.remaining is None or not self.quota:
            return None
        return self.remaining / self.quota


def joined_fields(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names; the lines of a field that is a list are one list (RFC 9110, 5.3), of
    others the last."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in FIELDS and name in found else value
    return found


def quotas_of(named: Mapping[str, str]) -> list[Quota]:
    """Return the policies of both fields, joined by their names. named: headers by lower-case names."""
    state, policies = (_items(named.get(name, "")) for name in FIELDS)
    matched = [pair for name, _ in state if (pair := _PAIR.fullmatch(name))]
    pairs = {pair[1].lower(): pair[2] for pair in matched}
    found: dict[str, dict[str, str]] = {}
    if pairs:  # draft 07: of the policy that is the closest to its limit
        of = {"q": pairs.get("limit"), "r": pairs.get("remaining"), "t": pairs.get("reset")}
        found[_number_as_name(of["q"])] = {name: text for name, text in of.items() if text}
        state = []
    for given, parameters in (*policies, *state):
        is_quota = _number(given) is not None and "q" not in parameters
        name = _number_as_name(given) if is_quota else given
        found.setdefault(name, {}).update(parameters, **({"q": given} if is_quota else {}))
    return [_quota(name, parameters) for name, parameters in found.items()]


def binding(quotas: list[Quota]) -> Quota | None:
    """Return the policy that is the closest to its limit: the least share left, of equal ones the longest reset.

    None where several are given and the share of one is not known.
    """
    if len(quotas) < 2:
        return quotas[0] if quotas else None
    empty = [one for one in quotas if one.remaining == 0]
    known = [one for one in quotas if one.remaining is not None or one.reset_s is not None]
    candidates = empty or known
    if len(candidates) == 1:
        return candidates[0]
    shares = [one.share for one in candidates]
    if not candidates or None in shares:
        return None
    return min(candidates, key=lambda one: (one.share, -(one.reset_s or 0.0)))


def _items(value: str) -> list[tuple[str, dict[str, str]]]:
    """Return name and parameters of each item of a structured list."""
    items = []
    for item in _ITEM.findall(value)[:_MOST_ITEMS]:
        cut = re.match(r'\s*("(?:[^"\\]|\\.)*"|[^;]*)', item)
        name = cut[1].strip().strip('"') if cut else ""
        parameters = {key.lower(): text.strip('"') for key, text in _PARAMETER.findall(item)}
        if name:
            items.append((name, parameters))
    return items


def _quota(name: str, parameters: dict[str, str]) -> Quota:
    quota, window, remaining, reset = (_number(parameters.get(key)) for key in "qwrt")
    return Quota(
        name, quota, window or None, parameters.get("qu", "requests").lower(), remaining, reset
    )


def _number(text: str | None) -> float | None:
    """Return a number of at most 15 digits, as structured fields have them."""
    if text is None or not re.fullmatch(r"\d{1,15}(?:\.\d{1,3})?", text):
        return None
    return float(text)


def _number_as_name(text: str | None) -> str:
    number = _number(text)
    return "" if number is None else f"{number:g}"
