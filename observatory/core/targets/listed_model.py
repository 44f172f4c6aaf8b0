"""What a price list and a provider's catalogue need of a target whose model they list."""

from pathlib import Path
from typing import Any, Protocol


class ListedModel(Protocol):
    """A model of a provider of the catalogue, as a target asks for it."""

    @property
    def name(self) -> str:
        """The target's name."""
        ...

    @property
    def provider(self) -> str:
        """The provider's word in the catalogue."""
        ...

    @property
    def model(self) -> str:
        """The model's name as requests have it."""
        ...

    @property
    def service_tier(self) -> str | None:
        """The tier that every request asks for."""
        ...

    @property
    def extra_body(self) -> dict[str, Any]:
        """What is merged into every request, which may ask for a tier, too."""
        ...

    @property
    def base_url(self) -> str | None:
        """Another address than the provider's own."""
        ...

    @property
    def api_key_file(self) -> Path | None:
        """The file of the key, where it is in none of the environment's variables."""
        ...
