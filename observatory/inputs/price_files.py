"""Price files: where they are, and strict YAML made into agreed prices.

Every refusal is a BadInput that names file and line.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from itertools import combinations
from pathlib import Path

from observatory.core.money.agreed_prices import PRICES_FILE, AgreedPrices, PriceEntry, PriceFile
from observatory.core.workspace import Workspace
from observatory.inputs.model_files import model_of
from observatory.inputs.strict_yaml import YamlDocument, read_yaml
from observatory.inputs.text_files import shown_path
from observatory.inputs.validation_errors import FieldError, refusal


def agreed_prices(workspace: Workspace) -> AgreedPrices | None:
    """Return the workspace's own price file, None where there is none; raise BadInput with file and line."""
    for folder in workspace.scenarios:
        path = folder / PRICES_FILE
        if path.is_file():
            return read_price_file(path)
    return None


def read_price_file(path: Path) -> AgreedPrices:
    """Return a price file by its path; raise BadInput with file and line of every error."""
    document = read_yaml(path)
    read = model_of(document, PriceFile)
    lines = [document.line_of(("prices", place)) for place in range(len(read.prices))]
    entries = tuple(zip(lines, read.prices, strict=True))
    _refuse_overlaps(document, read.prices)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return AgreedPrices(shown_path(path), sha256, entries)


def _refuse_overlaps(document: YamlDocument, entries: Iterable[PriceEntry]) -> None:
    field_errors = []
    for (_, one), (place, other) in combinations(enumerate(entries), 2):
        same = (one.provider, one.service_tier) == (other.provider, other.service_tier)
        shared = sorted(set(one.models) & set(other.models))
        if same and shared and _overlap(one, other):
            field_errors.append(
                FieldError(
                    document.line_of(("prices", place)),
                    f"prices[{place}]",
                    f"{shared[0]} has two prices on the same days",
                    "end the older one with effective_until",
                )
            )
    if field_errors:
        raise refusal(document.name, field_errors)


def _overlap(one: PriceEntry, other: PriceEntry) -> bool:
    first, last = date.min, date.max
    return (one.effective_from or first) < (other.effective_until or last) and (
        other.effective_from or first
    ) < (one.effective_until or last)
