"""The fields of every kind of target: its name, and its HTTP options.

`endpoints` opens targets; nothing of that is here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from observatory.core.emulation.profile import Profile
from observatory.core.money.machine_money import MachineRate
from observatory.core.money.token_prices import TokenPrices
from observatory.core.run import TargetFacts
from observatory.core.strict import Strict
from observatory.core.targets.addresses import page_url
from observatory.core.targets.gpu_use import GpuUse
from observatory.core.targets.listed_model import ListedModel
from observatory.core.targets.literal_secrets import Headers
from observatory.core.targets.packages import Build, Distribution
from observatory.core.targets.throttling import Throttling
from observatory.core.units import PositiveDuration, Rate

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
"""openai: Chat Completions, or Completions for a workload of that request type; responses: OpenAI's
Responses API; messages: Anthropic's Messages API. The last two take chat workloads only."""
BESIDE_API = "beside_api"
"""metrics_url of a target whose engine offers its page where engines do: /v1 -> /metrics."""


class Timeouts(Strict):
    """How long each phase of one attempt may take."""

    connect: PositiveDuration = 10.0
    first_byte: PositiveDuration = 120.0
    between_events: PositiveDuration = 60.0
    whole: PositiveDuration = 600.0


class HttpOptions(Strict):
    """The options of every target with an HTTP API."""

    headers: Headers = Field(
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
    """What every target states of itself, and the traits that code outside its kind's files reads.

    The defaults are those of an engine that is started here; a kind overrides what differs. A trait that a kind
    lets people state is the value of its field: url, metrics_url, port, environment, rate, price, api_key_env, profile.
    """

    name: str = Field(pattern=NAME, description="how rows and pages name it")
    tokenizer: str | None = Field(
        default=None, description="its tokenizer's name, for per-token figures"
    )
    license: str | None = Field(default=None, description="SPDX id or name of the weights' licence")

    if TYPE_CHECKING:  # fields of every kind, each with its own values and default
        kind: str
        hosting: Literal["self", "managed"]
        weights: Literal["open", "closed"]
        billing: Literal["hours", "tokens"]

    opened_by: ClassVar[str]
    """The module whose OPENER opens targets of this kind; imported when one is opened."""
    engine_title: ClassVar[str | None] = None
    """The engine's name as its project writes it; None where the kind does not determine the engine."""
    emulated: ClassVar[bool] = False
    """Whether it is a stand-in of ours: no figure of it is of a real service, and nothing is paid."""
    energy: ClassVar[Literal["sensed", "modelled", "none"]] = "sensed"
    """Where figures of its energy come from: sensors, a model of its answers, or nowhere."""
    addressed: ClassVar[bool] = False
    """Whether targets of this kind always have an address from outside."""
    foreign_server: ClassVar[bool] = False
    """Whether its server was started outside, so that its processes and cores are unknown."""
    bundled: ClassVar[bool] = False
    """Whether its engine comes with the observatory's own packages, so that its version names its build."""
    keeps_log: ClassVar[bool] = True
    """Whether a log of the engine lies in the run's folder where the observatory started it."""
    packages: ClassVar[Mapping[Build, Distribution]] = {}
    """The packages that `observatory engine install` installs it from, by build; empty where it is not
    installed so."""
    metric_aliases: ClassVar[dict[str, str]] = {}
    """Series of the engine's Prometheus page -> a name of telemetry.sensors.engine_names with the same
    meaning, for an engine whose own names that table does not have."""

    @property
    def runs_here(self) -> bool:
        """Return whether its server is a process that the observatory starts and stops: it has no url."""
        return self._url is None

    @property
    def lock_subject(self) -> str:
        """Return the resource that is locked while it is measured: two targets of any kinds may share it."""
        return f"{self.kind}|{self.name}" if self._url is None else f"url|{self._url}"

    @property
    def _url(self) -> str | None:
        url: str | None = getattr(self, "url", None)
        return url

    @property
    def engine_page(self) -> str | None:
        """Address of its engine's Prometheus page: BESIDE_API, a URL, or None where there is none."""
        page: str | None = getattr(self, "metrics_url", BESIDE_API)
        return page

    @property
    def fixed_port(self) -> int:
        """Return the port on loopback that its file reserves; 0 for none."""
        port: int = getattr(self, "port", 0)
        return port

    @property
    def child_environment(self) -> dict[str, str]:
        """Variables that its file gives to the process of its engine."""
        given: dict[str, str] = getattr(self, "environment", {})
        return given

    @property
    def gpu_use(self) -> GpuUse | None:
        """Return the GPUs that it uses; None for a kind whose file has no field for them."""
        return None

    @property
    def stated_rate(self) -> MachineRate | None:
        """Return the stated cost of an hour of its machine."""
        rate: MachineRate | None = getattr(self, "rate", None)
        return rate

    @property
    def stated_price(self) -> TokenPrices | Literal["unknown"] | None:
        """Return the stated price of its tokens; None without one."""
        price: TokenPrices | Literal["unknown"] | None = getattr(self, "price", None)
        return price

    @property
    def listed_model(self) -> ListedModel | None:
        """Return what price lists and the provider catalogue list of it; None outside the catalogue."""
        return None

    @property
    def key_variable(self) -> str | None:
        """Return the environment variable with its key, as its file names it."""
        variable: str | None = getattr(self, "api_key_env", None)
        return variable

    @property
    def latency_profile(self) -> Profile | str | None:
        """Return the delays that it emulates, or their profile's name; None for a real service."""
        profile: Profile | str | None = getattr(self, "profile", None)
        return profile

    def local_files(self, folder: Path) -> dict[str, Any]:
        """Return the kind's own fields whose relative paths count from `folder`, as absolute paths."""
        return {}

    @staticmethod
    def computes_on_gpu(facts: TargetFacts) -> bool:
        """Return whether a run of a target with these facts needed a GPU's energy to be read."""
        return False


def one_key_source(variable: str | None, file: Path | None) -> None:
    """Raise ValueError where a target names two sources of its key."""
    if variable is not None and file is not None:
        raise ValueError("give api_key_env or api_key_file, not both")


def check_sdk_speaks(transport: Transport, wire: Wire) -> None:
    """Raise ValueError where the openai package does not have the wire."""
    if transport == "sdk" and wire == "messages":
        raise ValueError("transport: sdk is the openai package, which has no wire: messages")


def checked_page(url: str | None) -> str | None:
    """Return the address of a Prometheus page, checked; BESIDE_API and None as they are."""
    if url is None or url == BESIDE_API:
        return url
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"write {BESIDE_API}, a URL of http or https, or null")
    return page_url(url)


EnginePage = Annotated[str | None, AfterValidator(checked_page)]
"""Address of an engine's Prometheus page, as checked_page takes it."""
