"""The fields that a price list and a provider's catalogue read of a target with a listed model."""

from pathlib import Path
from typing import Any, Protocol


class ListedModel(Protocol):
    """A model of a provider of the catalogue, as a target names it."""

    @property
    def name(self) -> str:
        """Return the target's name."""
        ...

    @property
    def provider(self) -> str:
        """Return the provider's name in the catalogue."""
        ...

    @property
    def model(self) -> str:
        """Return the model's name in requests."""
        ...

    @property
    def service_tier(self) -> str | None:
        """Return the tier of every request."""
        ...

    @property
    def extra_body(self) -> dict[str, Any]:
        """Return the fields merged into every request, which may contain a tier, too."""
        ...

    @property
    def base_url(self) -> str | None:
        """Another address than the provider's own."""
        ...

    @property
    def api_key_file(self) -> Path | None:
        """Return the file of the key, where it is in none of the environment's variables."""
        ...
