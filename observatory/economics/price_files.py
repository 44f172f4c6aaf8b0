"""A person's own prices, in a file with the shape of the ledger: negotiated ones, discounts, tiers.

An entry either states prices or takes a share off the public list's; it is looked up by provider,
model, tier and date before the public ledger is.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from observatory.core.errors import BadInput
from observatory.core.strict import Strict
from observatory.core.target import ApiTarget
from observatory.core.workspace import Workspace
from observatory.economics.ledger_book import LEDGER, find_listed, ledger_version, model_rows
from observatory.economics.list_prices import check_countable
from observatory.economics.price_book import STANDARD_TIERS, Book, BookRow, priced, tier_of
from observatory.economics.prices import AppliedPrices
from observatory.inputs.scenario_files import PRICES_FILE
from observatory.inputs.strict_yaml import Document, read_yaml
from observatory.inputs.text_files import shown_path
from observatory.inputs.validation_errors import Complaint, complaints_of, refusal

Usd = Annotated[float | None, Field(ge=0)]
TokenKind = Literal["input", "output", "cached_input", "cache_write"]
_FIELDS: dict[TokenKind, str] = {
    "input": "input_per_million_usd",
    "output": "output_per_million_usd",
    "cached_input": "cached_input_per_million_usd",
    "cache_write": "cache_write_per_million_usd",
}


class LongPromptPrices(Strict):
    """What a request costs whose prompt is longer than a bound: all its tokens, not only those beyond."""

    above_prompt_tokens: int = Field(gt=0, description="prompts longer than this, cached included")
    input_per_million_usd: Usd = None
    output_per_million_usd: Usd = None
    cached_input_per_million_usd: Usd = None
    cache_write_per_million_usd: Usd = None


class PriceEntry(Strict):
    """Prices of one or more models of a provider, at one tier, over one span of dates."""

    provider: str = Field(description="as targets name it, e.g. openai")
    model: str | list[str] = Field(description="exactly as targets name it, one or more")
    service_tier: str | None = Field(
        default=None, description="batch, flex, priority ...; default: the standard tier"
    )
    input_per_million_usd: Usd = None
    output_per_million_usd: Usd = None
    cached_input_per_million_usd: Usd = Field(default=None, description="default: as any input")
    cache_write_per_million_usd: Usd = Field(default=None, description="default: as any input")
    long_prompts: list[LongPromptPrices] = Field(
        default=[], description="dearer prices of longer prompts"
    )
    discount: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="instead of prices: share off the public list price, e.g. 0.5 for half",
    )
    discount_off: str = Field(
        default="standard", description="tier whose list price the discount is taken off"
    )
    discount_on: list[TokenKind] = Field(
        default=["input", "output", "cached_input", "cache_write"],
        description="kinds that it is taken off; the others are charged at the list price",
    )
    effective_from: date | None = Field(default=None, description="first day; default: always")
    effective_until: date | None = Field(
        default=None, description="day from which it no longer holds; default: open"
    )
    source: str = Field(min_length=1, description="contract, invoice or page that says so")
    basis: Literal["stated", "example"] = Field(
        default="stated", description="stated: you vouch for it; example: round stand-in"
    )

    @field_validator("service_tier")
    @classmethod
    def _no_name_of_the_standard(cls, tier: str | None) -> str | None:
        return None if tier in STANDARD_TIERS else tier

    @property
    def models(self) -> list[str]:
        """The models by name."""
        return [self.model] if isinstance(self.model, str) else self.model

    def holds_on(self, day: date) -> bool:
        """Whether the entry holds on a day (UTC)."""
        begun = self.effective_from is None or self.effective_from <= day
        return begun and (self.effective_until is None or day < self.effective_until)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        stated = [name for name in _FIELDS.values() if getattr(self, name) is not None]
        if self.discount is not None and (stated or self.long_prompts):
            raise ValueError("an entry has prices or a discount off the list price, not both")
        both = ("input_per_million_usd", "output_per_million_usd")
        if self.discount is None and not all(name in stated for name in both):
            raise ValueError(f"an entry without discount needs {' and '.join(both)}")
        if self.discount is None and {"discount_off", "discount_on"} & self.model_fields_set:
            raise ValueError("discount_off and discount_on say more of a discount: there is none")
        if not self.models:
            raise ValueError("model: name one at least")
        begin, end = self.effective_from, self.effective_until
        if begin is not None and end is not None and end <= begin:
            raise ValueError("effective_until must come after effective_from")
        return self


class PriceFile(Strict):
    """Prices that hold before the public ledger's."""

    prices: list[PriceEntry] = Field(description="each for a provider's model, tier and dates")


@dataclass(frozen=True, slots=True)
class AgreedPrices:
    """A price file as read: its path for people, its bytes' SHA-256, each entry with its line."""

    path: str
    sha256: str
    entries: tuple[tuple[int, PriceEntry], ...]

    @property
    def version(self) -> str:
        """What its prices hang on: its bytes, and the ledger's version where it takes shares off."""
        if all(entry.discount is None for _, entry in self.entries):
            return self.sha256
        return f"{self.sha256} on {LEDGER} {ledger_version()}"


def agreed_prices(workspace: Workspace) -> AgreedPrices | None:
    """The workspace's own price file, None where there is none; BadInput names file and line."""
    for folder in workspace.scenarios:
        path = folder / PRICES_FILE
        if path.is_file():
            return read_price_file(path)
    return None


def read_price_file(path: Path) -> AgreedPrices:
    """A price file by its path; BadInput names file and line of everything that is wrong."""
    document = read_yaml(path)
    try:
        read = PriceFile.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        schema = PriceFile.model_json_schema()
        raise refusal(document.name, complaints_of(error, document, schema)) from error
    lines = [document.line_of(("prices", place)) for place in range(len(read.prices))]
    entries = tuple(zip(lines, read.prices, strict=True))
    _refuse_overlaps(document, read.prices)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return AgreedPrices(shown_path(path), sha256, entries)


def agreed_for(agreed: AgreedPrices, target: ApiTarget, at: datetime) -> AppliedPrices | None:
    """What the file says of a target at a moment; None where it says nothing.

    Raises BadInput where a discount is taken off a list price that is not there, or that a request's
    tokens do not give in full.
    """
    tier = tier_of(target)
    for line, entry in agreed.entries:
        if (
            entry.provider == target.provider
            and target.model in entry.models
            and entry.service_tier == tier
            and entry.holds_on(at.astimezone(UTC).date())
        ):
            facts: dict[str, Any] = {
                "book": PRICES_FILE,
                "version": agreed.version,
                "file": agreed.path,
                "line": line,
                "provider": target.provider,
                "model": target.model,
                "applied_at": at.isoformat(timespec="seconds"),
            }
            if listed := find_listed(target.provider, target.model):
                facts |= {"ledger_provider": listed.owner, "ledger_model": listed.model.id}
            rows = _rows(entry, target.model, f"{agreed.path}:{line}")
            prices = priced(rows, tier, at, facts)
            if entry.discount is not None and listed is not None:
                check_countable(target, listed, prices, at)
            if any(row.kind == "input" for row in prices.rows):
                return prices
    return None


def book_of(agreed: AgreedPrices) -> Book:
    """The whole file as rows of a book."""
    rows = [
        row
        for line, entry in agreed.entries
        for model in entry.models
        for row in _rows(entry, model, f"{agreed.path}:{line}")
    ]
    return Book(PRICES_FILE, agreed.version, tuple(rows))


def _rows(entry: PriceEntry, model: str, where: str) -> list[BookRow]:
    return (
        _stated_rows(entry, model)
        if entry.discount is None
        else _discounted_rows(entry, model, entry.discount, where)
    )


def _stated_rows(entry: PriceEntry, model: str) -> list[BookRow]:
    steps: list[tuple[int, PriceEntry | LongPromptPrices]] = [(0, entry)]
    steps += [(step.above_prompt_tokens, step) for step in entry.long_prompts]
    return [
        BookRow(
            entry.provider, model, kind, usd, entry.basis, entry.source, entry.service_tier,
            entry.effective_from, entry.effective_until, above_prompt_tokens=above,
        )
        for above, step in steps
        for kind, name in _FIELDS.items()
        if (usd := getattr(step, name)) is not None
    ]  # fmt: skip


def _discounted_rows(entry: PriceEntry, model: str, share: float, where: str) -> list[BookRow]:
    listed = find_listed(entry.provider, model)
    tier = None if entry.discount_off in STANDARD_TIERS else entry.discount_off
    rows = model_rows(listed.owner, listed.model) if listed else []
    of_tier = [row for row in rows if row.service_tier == tier]
    if not of_tier:
        raise BadInput(
            f"{LEDGER} {ledger_version()} has no {entry.discount_off} list price of {model!r} of "
            f"{entry.provider!r} to take a discount off",
            where=where,
            fix="state the prices themselves, or another discount_off",
        )
    made = []
    for row in of_tier:
        begin, end = _later(row.effective_from, entry.effective_from), entry.effective_until
        end = min(filter(None, (row.effective_until, end)), default=None)
        if begin is not None and end is not None and end <= begin:
            continue
        off = share if row.kind in entry.discount_on else 0.0
        facts = {
            "list_usd": row.usd_per_million,
            "list_source": row.source,
            "list_tier": entry.discount_off,
            "discount": off,
        }
        made.append(
            replace(
                row,
                provider=entry.provider,
                model=model,
                # Twelve digits: 2 * (1 - 0.88) is 0.24, not 0.2400000000000000x.
                usd_per_million=float(f"{row.usd_per_million * (1 - off):.12g}"),
                basis=entry.basis,
                source=entry.source,
                service_tier=entry.service_tier,
                effective_from=begin,
                effective_until=end,
                details=row.details | facts,
            )
        )
    return made


def _later(first: date | None, second: date | None) -> date | None:
    return max(filter(None, (first, second)), default=None)


def _refuse_overlaps(document: Document, entries: Iterable[PriceEntry]) -> None:
    complaints = []
    for (_, one), (place, other) in combinations(enumerate(entries), 2):
        same = (one.provider, one.service_tier) == (other.provider, other.service_tier)
        shared = sorted(set(one.models) & set(other.models))
        if same and shared and _overlap(one, other):
            complaints.append(
                Complaint(
                    document.line_of(("prices", place)),
                    f"prices[{place}]",
                    f"{shared[0]} has two prices on the same days",
                    "end the older one with effective_until",
                )
            )
    if complaints:
        raise refusal(document.name, complaints)


def _overlap(one: PriceEntry, other: PriceEntry) -> bool:
    first, last = date.min, date.max
    return (one.effective_from or first) < (other.effective_until or last) and (
        other.effective_from or first
    ) < (one.effective_until or last)
