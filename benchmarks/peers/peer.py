"""A peer's job and its result: the types of every peer's file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Arrivals = Literal["constant", "poisson"]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a peer.

    base_url ends with /v1. concurrency: streams held open, or with rate_per_s None the closed loop's
    users. With rate_per_s requests are sent at that rate, evenly ("constant") or with exponential gaps.
    out_dir is empty and the peer's own.
    """

    base_url: str
    model: str
    concurrency: int
    requests: int
    out_dir: Path
    output_tokens: int = 128
    rate_per_s: float | None = None
    arrivals: Arrivals = "poisson"

    @property
    def server(self) -> str:
        """The address without /v1."""
        return self.base_url.removesuffix("/").removesuffix("/v1")


@dataclass(frozen=True, slots=True)
class Reported:
    """The figures in the peer's own output; None: not reported."""

    completed: int
    errors: int
    requests_per_s: float | None
    wall_s: float | None
    ttft_p50_s: float | None
    ttft_p99_s: float | None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a peer is started; variables are added to this process's environment."""

    command: list[str]
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeerResult:
    """One run of a peer, or why there was none.

    completed to reported_ttft_p99_s are the peer's own figures; wall_s is between its first and last
    request. cpu_s and rss_max_bytes (a sum over its processes, pages that they share counted in each)
    are measured from outside, start-up included. began_unix_ns: when the command was started, for comparison
    with the server's log. reason: why there are no figures.
    """

    name: str
    version: str | None
    reason: str | None = None
    completed: int | None = None
    errors: int | None = None
    wall_s: float | None = None
    requests_per_s: float | None = None
    reported_ttft_p50_s: float | None = None
    reported_ttft_p99_s: float | None = None
    output_tokens: int | None = None
    cpu_s: float | None = None
    rss_max_bytes: int | None = None
    command_s: float | None = None
    began_unix_ns: int | None = None
