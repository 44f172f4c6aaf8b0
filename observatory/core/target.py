"""What is measured, as a person writes it: strict models, one per kind of target.

This knows nothing of how a target is opened; `endpoints` does.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from observatory.core.addresses import base_url, page_url
from observatory.core.literal_secrets import ENVIRONMENT_NAME, no_literal_secret
from observatory.core.machine_money import MachineRate
from observatory.core.profile import Profile
from observatory.core.strict import Strict
from observatory.core.throttling import Throttling
from observatory.core.token_prices import TokenPrices
from observatory.core.units import PositiveDuration, Rate
from observatory.core.vllm_options import FlagValue, checked_environment, checked_flags, untrue

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_OURS = (
    "messages", "prompt", "input", "instructions", "system", "model", "stream",
    "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of",
)  # fmt: skip
"""What extra_body must not touch, on any wire: records and spending caps would no longer be true."""
Transport = Literal["lean", "sdk"]
"""lean: our own sockets, stamps by the kernel. sdk: the openai package's client, as an application
would see it."""
Wire = Literal["openai", "responses", "messages"]
"""openai: Chat Completions, or Completions where the workload asks those; responses: OpenAI's Responses
API; messages: Anthropic's Messages API. The last two take chat workloads only."""
BESIDE_API = "beside_api"
"""metrics_url of a target whose engine offers its page where engines do: /v1 -> /metrics."""


class Timeouts(Strict):
    """How long each phase of one attempt may take."""

    connect: PositiveDuration = 10.0
    first_byte: PositiveDuration = 120.0
    between_events: PositiveDuration = 60.0
    whole: PositiveDuration = 600.0


class HttpOptions(Strict):
    """What every target spoken to over HTTP takes."""

    headers: dict[str, str] = Field(
        default={}, description="extra headers; ${NAME} is read from the environment when opened"
    )
    query: dict[str, str] = Field(default={}, description="query parameters; ${NAME} as in headers")
    ca_bundle: Path | None = Field(
        default=None, description="PEM file that TLS is verified against"
    )
    client_certificate: Path | None = None
    client_key: Path | None = None
    extra_body: dict[str, Any] = Field(
        default={},
        description="merged into every request's JSON (RFC 7396: null removes a field), "
        "e.g. {ignore_eos: true}",
    )
    reasoning_effort: str | None = Field(default=None, description="e.g. low, medium, high, none")
    max_rate: Rate | None = Field(default=None, description="requests a second never exceeded")
    max_concurrency: int | None = Field(default=None, ge=1, description="in flight, never exceeded")
    timeouts: Timeouts = Timeouts()
    throttling: Throttling | None = Field(
        default=None, description="what to do about 429 and its kin; default: the scenario's"
    )

    @field_validator("headers")
    @classmethod
    def _no_literal_secret(cls, headers: dict[str, str]) -> dict[str, str]:
        no_literal_secret(headers)
        return headers

    @field_validator("extra_body")
    @classmethod
    def _leaves_ours_alone(cls, extra_body: dict[str, Any]) -> dict[str, Any]:
        taken = [name for name in _OURS if name in extra_body]
        if taken:
            raise ValueError(
                f"must not set {', '.join(taken)}: the workload and the target's own fields do"
            )
        return extra_body

    @model_validator(mode="after")
    def _certificate_pair(self) -> Self:
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        return self


class TargetIdentity(HttpOptions):
    """What every target states of itself."""

    name: str = Field(pattern=NAME, description="how rows and pages name it")
    tokenizer: str | None = Field(
        default=None, description="its tokenizer's name, for per-token figures"
    )
    license: str | None = Field(default=None, description="SPDX id or name of the weights' licence")


class LlamaCppTarget(TargetIdentity):
    """llama.cpp through xllamacpp, started and stopped by the observatory on loopback."""

    kind: Literal["llamacpp"]
    model: str = Field(
        default="smollm2-135m-instruct-q4_1",
        description="a name of `observatory model list`, or the path of a GGUF file",
    )
    parallel: int = Field(default=4, ge=1, le=256, description="slots served at once (n_parallel)")
    context: int = Field(default=2048, ge=128, description="tokens of context in each slot")
    threads: int | None = Field(
        default=None,
        ge=1,
        description="compute threads; default: all cores but one, which the load generator needs",
    )
    gpu_layers: int = Field(default=0, ge=-1, description="layers put on a GPU; -1 is all")
    port: int = Field(default=0, ge=0, le=65535, description="on 127.0.0.1; 0 takes a free one")
    start_timeout: PositiveDuration = 120.0
    hosting: Literal["self"] = "self"
    weights: Literal["open", "closed"] = "open"
    billing: Literal["hours"] = "hours"
    rate: MachineRate | None = None


class LoraAdapter(Strict):
    """A LoRA adapter that an engine serves beside its base model, under a name of its own."""

    name: str = Field(pattern=NAME, description="the model name that requests ask for")
    path: str = Field(
        description="a folder in PEFT's format, a name of `observatory model list`, or a hub id"
    )


class VllmTarget(TargetIdentity):
    """vLLM in an environment of its own, started and stopped by the observatory on loopback.

    With `url` it is found instead of started: nothing is run, and what it says of itself is recorded.
    """

    kind: Literal["vllm"]
    model: str | None = Field(
        default=None,
        description="a hub id, a local folder, or a name of `observatory model list`; "
        "with url: what it is asked for, default: the only model that it lists",
    )
    served_model_name: str | None = Field(
        default=None, description="what requests call it; default: its id or its folder's name"
    )
    revision: str | None = Field(default=None, description="branch, tag or commit of the hub id")
    engine: str | None = Field(
        default=None,
        description="an installed engine, e.g. vllm==0.32.0 (observatory engine list); default: the newest",
    )
    executable: Path | None = Field(
        default=None, description="a vllm command that exists, instead of an installed engine"
    )
    url: str | None = Field(
        default=None, pattern=r"^https?://", description="one that runs already, up to and with /v1"
    )
    dtype: str | None = Field(default=None, description="e.g. auto, bfloat16, float16, float32")
    quantization: str | None = Field(
        default=None, description="e.g. fp8, awq, gptq; default: the weights' own"
    )
    kv_cache_dtype: str | None = None
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs that share each layer")
    max_model_len: int | None = Field(default=None, ge=1, description="tokens of context")
    max_num_seqs: int | None = Field(default=None, ge=1, description="requests in a batch at most")
    enable_prefix_caching: bool | None = Field(default=None, description="default: vLLM's own")
    enforce_eager: bool | None = Field(
        default=None, description="no compiled graphs: starts sooner, runs slower"
    )
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    flags: dict[str, FlagValue] = Field(
        default={}, description="any other flag of `vllm serve`, without its dashes"
    )
    environment: dict[str, str] = Field(
        default={}, description="variables for it; ${NAME} is read from ours and never stored"
    )
    gpus: list[int | str] | None = Field(
        default=None, description="GPU indices, UUIDs or MIG UUIDs it may use; default: all"
    )
    adapters: list[LoraAdapter] = Field(
        default=[], description="LoRA adapters served beside the model"
    )
    ask: list[str] = Field(
        default=[],
        description="model names that requests ask for in turn (adapters, the base); default: the model",
    )
    port: int = Field(default=0, ge=0, le=65535, description="on 127.0.0.1; 0 takes a free one")
    start_timeout: PositiveDuration = 900.0
    metrics_url: str | None = Field(
        default=BESIDE_API,
        description="the engine's Prometheus page: beside_api (/metrics beside /v1), another URL, or "
        "null for none",
    )
    hosting: Literal["self"] = "self"
    weights: Literal["open", "closed"] = "open"
    billing: Literal["hours"] = "hours"
    rate: MachineRate | None = None

    @field_validator("metrics_url")
    @classmethod
    def _a_page(cls, url: str | None) -> str | None:
        return _metrics_url(url)

    @model_validator(mode="after")
    def _one_engine(self) -> Self:
        given = [
            name for name in ("engine", "executable", "url") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}, not both")
        if self.gpus is not None and "CUDA_VISIBLE_DEVICES" in self.environment:
            raise ValueError("gpus and environment's CUDA_VISIBLE_DEVICES say the same: keep gpus")
        if self.url is None:
            if self.model is None:
                raise ValueError("model is missing: what shall it serve?")
            return self
        # Not model_fields_set: a cell of a matrix is validated with every field of its base.
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        if wrong := untrue(dict(self), defaults):
            raise ValueError(
                f"{', '.join(wrong)}: with url nothing is started, so that this would not be true"
            )
        return self

    @model_validator(mode="after")
    def _asks_what_it_serves(self) -> Self:
        names = [adapter.name for adapter in self.adapters]
        if self.url is not None:
            return self  # what it lists is looked at when it is found
        if len(set(names)) < len(names):
            raise ValueError("two adapters have the same name")
        own = self.served_model_name
        unknown = [name for name in self.ask if name not in names and name not in (own, "base")]
        if unknown:
            raise ValueError(
                f"ask: {', '.join(unknown)} is neither an adapter, 'base' nor served_model_name"
            )
        return self

    @field_validator("url")
    @classmethod
    def _no_credentials(cls, url: str | None) -> str | None:
        return None if url is None else base_url(url)

    @field_validator("flags")
    @classmethod
    def _flags(cls, flags: dict[str, FlagValue]) -> dict[str, FlagValue]:
        return checked_flags(flags)

    @field_validator("environment")
    @classmethod
    def _environment(cls, environment: dict[str, str]) -> dict[str, str]:
        return checked_environment(environment)


class UrlTarget(TargetIdentity):
    """Any OpenAI-compatible endpoint: a team's vLLM, TGI, SGLang, a gateway."""

    kind: Literal["url"]
    url: str = Field(pattern=r"^https?://", description="base URL up to and with /v1")
    model: str | None = Field(default=None, description="default: the only model that it lists")
    api_key_env: str | None = Field(
        default=None, pattern=ENVIRONMENT_NAME, description="name of the variable with the key"
    )
    api_key_file: Path | None = Field(default=None, description="file with the key")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what its chat API calls the output limit"
    )
    stream_usage: bool = Field(
        default=True, description="ask for usage in streams; false where it refuses stream_options"
    )
    wire: Wire = Field(
        default="openai", description="which API is asked: openai, responses or messages"
    )
    transport: Transport = Field(
        default="lean", description="sdk: measured through the openai package's client"
    )
    metrics_url: str | None = Field(
        default=BESIDE_API,
        description="the engine's Prometheus page: beside_api (/metrics beside /v1), another URL, or "
        "null for none",
    )
    hosting: Literal["self", "managed"] = "self"
    weights: Literal["open", "closed"] = "open"
    billing: Literal["hours", "tokens"] = "hours"
    rate: MachineRate | None = None
    price: TokenPrices | Literal["unknown"] | None = None

    @field_validator("metrics_url")
    @classmethod
    def _a_page(cls, url: str | None) -> str | None:
        return _metrics_url(url)

    @field_validator("url")
    @classmethod
    def _no_credentials(cls, url: str) -> str:
        return base_url(url)

    @model_validator(mode="after")
    def _billing_fits(self) -> Self:
        _one_key_source(self.api_key_env, self.api_key_file)
        _sdk_speaks(self.transport, self.wire)
        if self.billing == "tokens" and self.rate is not None:
            raise ValueError("rate is for billing: hours; billing: tokens takes price")
        if self.billing == "hours" and self.price is not None:
            raise ValueError("price is for billing: tokens; billing: hours takes rate")
        return self


class ApiTarget(TargetIdentity):
    """A provider of the catalogue, billed by tokens."""

    kind: Literal["api"]
    provider: str = Field(description="a provider of the catalogue, e.g. openai")
    model: str
    base_url: str | None = Field(
        default=None, pattern=r"^https?://", description="another base URL"
    )
    api_key_env: str | None = Field(
        default=None,
        pattern=ENVIRONMENT_NAME,
        description="name of the variable with the key; default: the provider's usual one",
    )
    api_key_file: Path | None = None
    wire: Literal["chat", "responses", "messages"] | None = Field(
        default=None, description="which of the provider's APIs; default: its usual one"
    )
    service_tier: str | None = Field(
        default=None, description="asked for in every request, and priced so, e.g. flex, priority"
    )
    transport: Transport = Field(
        default="lean", description="sdk: measured through the openai package's client"
    )
    hosting: Literal["managed"] = "managed"
    weights: Literal["open", "closed"] = "closed"
    billing: Literal["tokens"] = "tokens"
    price: TokenPrices | Literal["unknown"] | None = Field(
        default=None, description="default: the price ledger's; unknown: run without a price"
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        _one_key_source(self.api_key_env, self.api_key_file)
        return self


class EmulatedTarget(TargetIdentity):
    """A seeded stand-in on loopback; everything from it is marked emulated wherever it is shown."""

    kind: Literal["emulated"]
    profile: Profile | str = Field(
        default=Profile(), description="a profile's fields, or its name or its file's path"
    )
    wire: Wire = Field(
        default="openai", description="which API is asked: openai, responses or messages"
    )
    transport: Transport = Field(
        default="lean", description="sdk: measured through the openai package's client"
    )
    hosting: Literal["self", "managed"] = "managed"
    weights: Literal["open", "closed"] = "closed"
    billing: Literal["tokens"] = "tokens"
    price: TokenPrices | None = None

    @model_validator(mode="after")
    def _asked_as_it_can_be(self) -> Self:
        _sdk_speaks(self.transport, self.wire)
        return self

    @field_validator("name")
    @classmethod
    def _says_so(cls, name: str) -> str:
        if "emulated" not in name:
            raise ValueError("the name of an emulated target must contain 'emulated'")
        return name


Target = Annotated[
    LlamaCppTarget | VllmTarget | UrlTarget | ApiTarget | EmulatedTarget,
    Field(discriminator="kind"),
]


def _one_key_source(variable: str | None, file: Path | None) -> None:
    if variable is not None and file is not None:
        raise ValueError("give api_key_env or api_key_file, not both")


def _sdk_speaks(transport: Transport, wire: Wire) -> None:
    if transport == "sdk" and wire == "messages":
        raise ValueError("transport: sdk is the openai package, which has no wire: messages")


def _metrics_url(url: str | None) -> str | None:
    if url is None or url == BESIDE_API:
        return url
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"write {BESIDE_API}, a URL of http or https, or null")
    return page_url(url)
