"""The catalogue as tables: docs/providers.md between its marks, and rows for terminals and scripts. Pure.

`observatory target providers --page docs/providers.md` rewrites the tables; a test compares them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from observatory.providers.catalogue import PROVIDERS
from observatory.providers.provider import Provider, WireOffer, WireWord

BEGIN = "<!-- providers: written by observatory target providers --page -->"
END = "<!-- end of providers -->"
NOT_DOCUMENTED = "not documented"


def as_rows(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one mapping per provider, with all fields; key_set: whether its usual variable is set."""
    return [
        asdict(provider)
        | {
            "usual_wire": provider.usual_wire,
            "key_set": bool(environment.get(provider.key_variable)),
        }
        for provider in PROVIDERS.values()
    ]


def page_with_tables(page: str) -> str:
    """Return the page with its tables replaced; raise ValueError where a mark is missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{tables()}\n{END}{tail}"


def tables() -> str:
    """Return the whole catalogue as Markdown."""
    known = list(PROVIDERS.values())
    parts = [
        "### Where, and with which key",
        _table(
            ["provider", "name", "base URL", "key from", "key header", "prices"],
            ([p.title, f"`{p.name}`", *_address(p), f"`{p.prices_id}`"] for p in known),
        ),
        "### What a request may hold",
        _table(
            [
                "provider",
                "wire",
                "output limit",
                "bounds reasoning",
                "seed",
                "effort",
                "service tier",
            ],
            (_request_row(p, word, offer) for p, word, offer in _offers()),
        ),
        "### What a response contains",
        _table(
            ["provider", "wire", "usage in a stream", "reasoning in", "never returned (null)"],
            (_answer_row(p, word, offer) for p, word, offer in _offers()),
        ),
        "### Headers",
        _table(
            ["provider", "request id", "processing time", "rate limits", "how they read"],
            (_header_row(p) for p in known),
        ),
        "### What was tried, and what was only read",
        _table(
            ["provider", "with a key", "without one"],
            (
                [p.title, p.tried_with_key or "no: no key was available", _held_against(p)]
                for p in known
            ),
        ),
        "### Sources",
        *(_sources(p) for p in known),
    ]
    return "\n\n".join(parts)


def _offers() -> Iterator[tuple[Provider, WireWord, WireOffer]]:
    for provider in PROVIDERS.values():
        for word, offer in provider.wires.items():
            yield provider, word, offer


def _address(provider: Provider) -> list[str]:
    (offer, *_) = provider.wires.values()
    url = provider.base_url or f"your own, e.g. {provider.example_url}"
    carried = f"`{offer.key_header}: {offer.key_prefix}...`"
    return [url, f"`{provider.key_variable}`", carried]


def _request_row(provider: Provider, word: WireWord, offer: WireOffer) -> list[str]:
    usual = " (usual)" if word == provider.usual_wire and len(provider.wires) > 1 else ""
    seed = {True: "yes", False: "no effect", None: NOT_DOCUMENTED}[offer.seed]
    seed += ", left out" if "seed" in offer.omitted else ""
    bounds = {True: "yes", False: "no", None: NOT_DOCUMENTED}[offer.limit_bounds_reasoning]
    return [
        provider.title,
        f"`{word}`{usual}",
        f"`{offer.max_tokens_field}`",
        bounds,
        seed,
        ", ".join(offer.efforts) or "-",
        ", ".join(offer.service_tiers) or "-",
    ]


def _answer_row(provider: Provider, word: WireWord, offer: WireOffer) -> list[str]:
    usage = "on request" if offer.stream_usage else "always"
    untold = ", ".join(f"`{name}`" for name in offer.untold) or "-"
    where = provider.reasoning_in if word == provider.usual_wire else ""
    return [provider.title, f"`{word}`", usage, where or "-", untold]


def _header_row(provider: Provider) -> list[str]:
    return [
        provider.title,
        f"`{provider.request_id_header}`" if provider.request_id_header else NOT_DOCUMENTED,
        ", ".join(f"`{name}`" for name in provider.processing_headers) or NOT_DOCUMENTED,
        ", ".join(f"`{name}`" for name in _shortened(provider.rate_limit_headers))
        or NOT_DOCUMENTED,
        provider.rate_limits_read or "-",
    ]


def _shortened(names: tuple[str, ...]) -> list[str]:
    """Return `a-limit-x, a-remaining-x, a-reset-x` as `a-{limit,remaining,reset}-x`, in their order."""
    kinds = ("limit", "remaining", "reset")
    found: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        parts = name.split("-")
        marks = [at for at, part in enumerate(parts) if part in kinds]
        at = marks[-1] if marks else None
        shape = tuple("{}" if place == at else part for place, part in enumerate(parts))
        found.setdefault(shape, []).append(parts[at] if at is not None else "")
    return [
        "-".join(shape).replace("{}", kind[0] if len(kind) == 1 else f"{{{','.join(kind)}}}")
        for shape, kind in found.items()
    ]


def _held_against(provider: Provider) -> str:
    wires = ", ".join(provider.wires)
    return (
        f"its documentation, read on {provider.looked}; golden requests ({wires}); "
        "answers of its shape from the emulator"
    )


def _sources(provider: Provider) -> str:
    lines = [f"**{provider.title}** (read on {provider.looked})", ""]
    lines += [f"- {source.where}: {source.says}" for source in provider.sources]
    lines += [f"- note: {note}" for note in provider.notes]
    return "\n".join(lines)


def _table(columns: list[str], rows: Iterator[list[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
