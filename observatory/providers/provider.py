"""The facts of a provider, with the pages that document them: data only.

None means that the provider's documentation does not state it, or contradicts itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

WireWord = Literal["chat", "responses", "messages"]
"""What a person writes: target kind api, key wire."""
WIRE_OF: Mapping[str, Literal["openai", "responses", "messages"]] = {
    "chat": "openai",
    "responses": "responses",
    "messages": "messages",
}
"""The wire (wires.wires) of each."""


@dataclass(frozen=True, slots=True)
class ProviderSource:
    """A page, or a file of the provider's own client, and what was read there."""

    where: str
    says: str


@dataclass(frozen=True, slots=True)
class WireOffer:
    """One of a provider's APIs: what its requests may hold, and what its responses contain.

    stream_usage: True: requested with stream_options; False: always returned, and not requested.
    seed: whether a request's seed has an effect. service_tiers, efforts: the values that are
    documented; () where there is no such field. limit_bounds_reasoning: whether the output limit also
    bounds tokens of reasoning, hidden ones too. omitted: body fields that are left out of every
    request, because it refuses or ignores them. untold: fields of a record that its responses never
    fill.
    """

    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True
    seed: bool | None = None
    service_tiers: tuple[str, ...] = ()
    efforts: tuple[str, ...] = ()
    limit_bounds_reasoning: bool | None = None
    omitted: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider and its APIs; the first wire is its usual one.

    base_url: None where it is the customer's own (then base_path is the path of its API on it).
    example_model: one that the price ledger has. prices_id: its name in genai-prices.
    ecologits_id: its name in EcoLogits where that is another. names_deployments: requests name a customer's
    deployment, and responses the model behind it. lists_what_it_serves: whether GET /models names the models that requests name. listed_prefix: the prefix
    of the names there. tried_with_key: the day of the last run with a real key; None: never, so that
    all of this was checked only against documented or recorded exchanges. reasoning_in: the field of an
    answer's reasoning; "" where it shows none. rate_limit_headers: the documented ones, with rate_limits_read
    for their meaning; () where none is documented. request_windows_s: header of a request limit ->
    seconds that it counts over, where its name does not show it.
    """

    name: str
    title: str
    base_url: str | None
    key_variable: str
    wires: Mapping[WireWord, WireOffer]
    prices_id: str
    example_model: str
    sources: tuple[ProviderSource, ...]
    looked: str
    base_path: str = ""
    example_url: str | None = None
    ecologits_id: str | None = None
    names_deployments: bool = False
    lists_what_it_serves: bool = True
    listed_prefix: str = ""
    reasoning_in: str = ""
    request_id_header: str | None = None
    processing_headers: tuple[str, ...] = ()
    rate_limit_headers: tuple[str, ...] = ()
    rate_limits_read: str = ""
    request_windows_s: Mapping[str, float] = field(default_factory=dict)
    tried_with_key: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def usual_wire(self) -> WireWord:
        """Return the wire that is used where a target names none."""
        return next(iter(self.wires))
