"""How an emulated endpoint behaves, as a person writes it: latency, load, answers, limits, faults.

It states; `endpoints` acts it out. docs/emulator.md explains every field and is tested against this.
"""

from typing import Annotated, Literal, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, model_validator

from observatory.core.units import Duration, PositiveDuration

Share = Annotated[float, Field(ge=0, le=1)]
PROFILE_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


def _ordered(median: float, p95: float, stem: str) -> None:
    if p95 < median:
        raise ValueError(f"{stem}_p95 is below {stem}_median")
    if median == 0 < p95:
        raise ValueError(f"a {stem}_median of zero needs a {stem}_p95 of zero")


class Part(BaseModel):
    """A mapping of a profile file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Imitates(Part):
    """The real service that a profile imitates, with its published figures, their source and date."""

    what: str = Field(min_length=1, description="the service or engine, its model, its hardware")
    figures: list[str] = Field(min_length=1, description="each published figure that it rests on")
    source: str = Field(
        min_length=1, description="where the figures are published: URL or publication"
    )
    date: str = Field(
        pattern=r"^\d{4}-\d{2}-\d{2}$", description="the day the source is of, YYYY-MM-DD"
    )

    def sentence(self) -> str:
        """Return the sentence for banner, header and facts."""
        return f"imitates {self.what}, by {'; '.join(self.figures)} ({self.source}, {self.date})"


class Tail(Part):
    """A long tail over the log-normal delays: by chance a delay is `factor` times itself."""

    ttft: Share = Field(default=0.0, description="chance for a request's first token")
    inter_token: Share = Field(default=0.0, description="chance for each gap between tokens")
    factor: float = Field(default=10.0, ge=1, description="times the delay that was drawn")


class Slowdown(Part):
    """Speed that falls with load: gaps are times 1 + per_request x (running - free), from free on."""

    per_request: float = Field(default=0.0, ge=0, description="for each request beyond `free`")
    free: int = Field(default=1, ge=0, description="running requests that cost nothing")


class Drift(Part):
    """Latency that changes as time goes by, from the first request on."""

    per_minute: float = Field(default=0.0, ge=0, description="added to the factor each minute")
    most: float = Field(default=10.0, ge=1, description="where the factor stops growing")


class PromptCache(Part):
    """Which prompt tokens usage reports as cached; cached ones cost no prefill time."""

    kind: Literal["none", "fraction", "prefix"] = Field(
        default="none", description="prefix: those that an earlier prompt began with"
    )
    fraction: Share = Field(default=0.5, description="kind fraction: this share of every prompt")
    block: int = Field(default=16, ge=1, description="kind prefix: tokens that are cached at once")
    blocks: int = Field(default=65_536, ge=1, description="kind prefix: the most that are kept")


class Reasoning(Part):
    """Tokens before the answer: hidden (billed and waited for) or streamed under a field's name."""

    tokens_median: int = Field(default=0, ge=0, description="of reasoning, before the answer")
    tokens_p95: int = Field(default=0, ge=0, description="of the same")
    stream: Literal["hidden", "reasoning_content", "reasoning", "both"] = Field(
        default="hidden",
        description="both: the same text under both names, as engines that migrate",
    )
    meets_answer: bool = Field(
        default=False, description="the last reasoning rides in the first event of the answer"
    )

    @model_validator(mode="after")
    def _p95_above_median(self) -> Self:
        _ordered(self.tokens_median, self.tokens_p95, "tokens")
        return self


class Shape(Part):
    """How an answer is laid into events, and events into writes."""

    role: Literal["own_event", "with_content", "absent"] = Field(
        default="own_event", description="where a chat stream states its role"
    )
    tokens_per_event: int = Field(default=1, ge=1, description="due when the last of them is")
    events_per_write: int = Field(
        default=1, ge=1, description="coalesced: all of them wait for the last one"
    )
    usage: Literal["asked", "always", "with_finish", "every_event", "never"] = Field(
        default="asked",
        description="asked: last event, if stream_options requests it; with_finish: in the event with "
        "finish_reason; every_event: the running count too",
    )
    comments: bool = Field(default=False, description="a comment line opens every event")
    keep_alive: PositiveDuration | None = Field(
        default=None, description="a comment is sent this often, all through the stream"
    )
    line_end: Literal["lf", "crlf"] = Field(default="lf", description="of the event stream")
    pieces: int = Field(
        default=1, ge=1, le=64, description="writes that each event is cut into, anywhere"
    )
    piece_pause: Duration = Field(default=0.0, description="between the writes of one event")
    padding_bytes: int = Field(
        default=0, ge=0, le=16 << 20, description="of a field that no client knows, in every event"
    )
    done: bool = Field(
        default=True,
        description="whether [DONE] (message_stop, response.completed) ends the stream",
    )
    answer: Literal["text", "tool_call"] = Field(
        default="text", description="tool_call: in all but completions, a call in pieces"
    )
    text: Literal["question", "multibyte"] = Field(
        default="question", description="words of the question, or 2 to 4 bytes a character"
    )


class Limits(Part):
    """Allowances a minute, with the rate-limit headers of the request's API."""

    requests_per_minute: int | None = Field(
        default=None, ge=1, description="each request counts one"
    )
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="prompt tokens and max_tokens count when a request comes"
    )
    window: Literal["refill", "minute"] = Field(
        default="refill",
        description="refill: evenly, all the time; minute: whole, each full minute",
    )
    burst: PositiveDuration = Field(
        default=60.0, le=60.0, description="refill: as much as refills in this time can be saved up"
    )
    refused: Literal["free", "counted"] = Field(
        default="free", description="counted: a refused request takes what is left"
    )

    @model_validator(mode="after")
    def _burst_is_of_refill(self) -> Self:
        if self.window == "minute" and self.burst != 60.0:
            raise ValueError("burst is for window: refill; a minute's allowance is there at once")
        return self


class Faults(Part):
    """Chances of faults; a request has at most one. And what some of them are like."""

    http_429: Share = Field(default=0.0, description="refused as over the limit, at once")
    http_500: Share = Field(default=0.0, description="fails after its time to first token")
    http_503: Share = Field(default=0.0, description="overloaded, at once, without Retry-After")
    http_529: Share = Field(default=0.0, description="overloaded in Anthropic's form, at once")
    error_event: Share = Field(default=0.0, description="an error object inside a 200 stream")
    reset: Share = Field(default=0.0, description="RST in the middle of the answer")
    stall: Share = Field(default=0.0, description="stops sending, keeps the connection, closes")
    early_close: Share = Field(default=0.0, description="FIN in the middle of the answer")
    garbage_event: Share = Field(default=0.0, description="an event whose JSON is cut off")
    garbage_http: Share = Field(default=0.0, description="answers with something else than HTTP")
    slow_headers: Share = Field(default=0.0, description="status and headers come late")
    big_event: Share = Field(default=0.0, description="one event of 1 MiB of text")
    wrong_usage: Share = Field(default=0.0, description="usage is not what was streamed")
    model_swap: Share = Field(default=0.0, description="answers under another model's name")
    no_done: Share = Field(
        default=0.0, description="the stream ends well but without its last event"
    )
    fingerprint_swap: Share = Field(default=0.0, description="answers with another fingerprint")
    drop_kept: Share = Field(
        default=0.0, description="closes the connection unanswered, if it carried a request before"
    )
    retry_after: PositiveDuration = Field(default=1.0, description="header sent with http_429")
    stall_for: PositiveDuration = Field(default=30.0, description="until a stalled one is closed")
    slow_headers_by: PositiveDuration = Field(default=5.0, description="how late they come")
    wrong_usage_factor: float = Field(default=1.5, gt=0, description="times the true counts")

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        total = sum(rate for _, rate in self.rates())
        if total > 1 + 1e-9:
            raise ValueError(f"the chances of faults add up to {total:g}, more than 1")
        return self

    def rates(self) -> list[tuple[str, float]]:
        """Return (kind, chance) of every kind, in FAULT_KINDS' order."""
        return [(kind, getattr(self, kind)) for kind in FAULT_KINDS]


FAULT_KINDS = tuple(
    kind for kind, hint in get_type_hints(Faults, include_extras=True).items() if hint == Share
)
"""The kinds of fault: the fields of Faults that are chances."""


class Profile(Part):
    """How an emulated endpoint behaves. Log-normal delays given by median and p95."""

    name: str | None = Field(
        default=None, pattern=PROFILE_NAME, description="default: the name of its file"
    )
    description: str | None = Field(default=None, description="one sentence, for --list")
    imitates: Imitates | None = Field(
        default=None, description="only where it imitates a real service: see `imitates:` below"
    )
    seed: int = Field(default=1, description="of every draw")
    ttft_median: Duration = Field(
        default=0.2, description="from a request's arrival, or its slot, to its first token"
    )
    ttft_p95: Duration = Field(default=0.4, description="equal to the median: no spread")
    prefill_per_token: Duration = Field(
        default=0.0, description="added to the first token's delay for each prompt token not cached"
    )
    inter_token_median: Duration = Field(default=0.02, description="between two tokens")
    inter_token_p95: Duration = Field(default=0.04, description="equal to the median: no spread")
    output_tokens_median: int = Field(
        default=32, ge=1, description="tokens of an answer, where max_tokens is not lower"
    )
    output_tokens_p95: int = Field(default=64, ge=1, description="of the same")
    obeys_limit: bool = Field(
        default=True,
        description="false: answers are as long as drawn, and the sent limit is ignored",
    )
    slots: int | None = Field(default=None, ge=1, description="requests served at once; more wait")
    tail: Tail = Field(default=Tail(), description="see `tail:` below")
    slowdown: Slowdown = Field(default=Slowdown(), description="see `slowdown:` below")
    drift: Drift = Field(default=Drift(), description="see `drift:` below")
    prompt_cache: PromptCache = Field(
        default=PromptCache(), description="see `prompt_cache:` below"
    )
    reasoning: Reasoning = Field(default=Reasoning(), description="see `reasoning:` below")
    shape: Shape = Field(default=Shape(), description="see `shape:` below")
    limits: Limits = Field(default=Limits(), description="see `limits:` below")
    faults: Faults = Field(default=Faults(), description="see `faults:` below")

    @model_validator(mode="after")
    def _p95_above_median(self) -> Self:
        for stem in ("ttft", "inter_token", "output_tokens"):
            _ordered(getattr(self, f"{stem}_median"), getattr(self, f"{stem}_p95"), stem)
        return self
